#include <iostream>

#include "admin/demo_backend.h"
#include "cli/commands.h"
#include "cli/run_process.h"
#include "config/quick_start.h"
#include "tls/certificate/self_signed.h"

namespace headgate {
namespace {

void print_welcome(const Supervisor& supervisor, const AdminServer* admin) {
  const auto addresses = supervisor.addresses("quick");
  const std::string address = addresses.empty() ? "" : addresses.front().text();
  std::cout << "Headgate " << HEADGATE_VERSION << " terminates TLS on " << address
            << " with a self-signed certificate. Try:\n\n"
            << "    curl -k https://" << address << "/\n\n";
  if (admin != nullptr) {
    const std::string at = admin->bound_address().text();
    std::cout << "Status page  http://" << at << "/\n"
              << "Metrics      http://" << at << "/metrics\n\n";
  }
  std::cout << "Ctrl-C ends it." << std::endl;
}

}  // namespace

int demo_command(const DemoOptions& options) {
  auto certificate = SelfSigned::make("localhost");
  if (!certificate) {
    std::cerr << "headgate: " << certificate.error().what << '\n';
    return kExitCannotStart;
  }
  std::unique_ptr<DemoBackend> backend;
  std::string backend_address = options.backend;
  if (backend_address.empty()) {
    auto opened = DemoBackend::open();
    if (!opened) {
      std::cerr << "headgate: " << opened.error().what << '\n';
      return kExitCannotStart;
    }
    backend = *std::move(opened);
    backend_address = backend->address().text();
  }
  const auto load = [options, backend_address, path = certificate->path()] {
    config::Loaded loaded = config::quick_start(
        {.listen = options.listen, .backend = backend_address, .certificate = path, .key = ""});
    if (options.admin == "off") {
      loaded.config.admin.reset();
    } else if (auto admin = Address::parse(options.admin)) {
      loaded.config.admin = *admin;
    } else {
      loaded.faults.push_back({.file = "--admin", .what = admin.error().what});
    }
    return loaded;
  };
  return run_process({.load = load, .config_file = "", .program = own_program()}, print_welcome);
}

}  // namespace headgate
