#include <iostream>
#include <optional>

#include "cli/commands.h"
#include "cli/demo_process.h"
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
  std::optional<DemoProcess> backend;
  std::string backend_address = options.backend;
  if (backend_address.empty()) {
    auto opened = DemoProcess::start();
    if (!opened) {
      std::cerr << "headgate: " << opened.error().what << '\n';
      return kExitCannotStart;
    }
    backend_address = backend.emplace(*std::move(opened)).address();
  }
  const auto load = [options, backend_address, path = certificate->path()] {
    return config::quick_start({.listen = options.listen,
                                .backend = backend_address,
                                .certificate = path,
                                .key = "",
                                .admin = options.admin});
  };
  return run_process({.load = load, .config_file = "", .program = own_program()}, print_welcome);
}

}  // namespace headgate
