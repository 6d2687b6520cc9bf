#include "cli/run_process.h"

#include <csignal>
#include <iostream>
#include <optional>

#include "admin/admin_answers.h"
#include "base/exit_code.h"
#include "supervisor/crash_report.h"

namespace headgate {
namespace {

int fail_start(const std::vector<std::string>& messages, int exit_code) {
  for (const auto& message : messages) std::cerr << "headgate: " << message << '\n';
  return exit_code;
}

}  // namespace

int run_process(Supervisor::Settings settings,
                const std::function<void(const Supervisor&, const AdminServer*)>& started) {
  install_crash_report();
  std::signal(SIGPIPE, SIG_IGN);
  // The log is opened before the configuration is checked. Supervisor::make() reads it again and reports the
  // faults.
  const config::Log wanted = settings.load().config.log;
  auto log = Log::open({.level = wanted.level, .format = wanted.format});
  if (!log) return fail_start({log.error().what}, kExitCannotStart);
  auto supervisor = Supervisor::make(std::move(settings), **log);
  if (!supervisor) return fail_start(supervisor.error().messages, supervisor.error().exit_code);
  AdminAnswers answers(**supervisor);
  std::unique_ptr<AdminServer> admin;
  std::optional<Address> bind = (*supervisor)->config().admin;
  const auto open_admin = [&]() -> Result<void> {
    if (!bind) return {};
    auto opened = AdminServer::open(*bind, answers);
    if (!opened) return tl::unexpected(std::move(opened.error()));
    admin = *std::move(opened);
    bind = admin->bound_address();  // port 0 has become a port, which an upgrade that fails must find again
    (*log)->info("admin listening", {{"address", bind->text()}});
    return {};
  };
  // Live connections wait in a process that takes over, and go on even where its admin address is taken.
  const bool takes_over = (*supervisor)->has_predecessor();
  if (takes_over) {
    if (auto taken = (*supervisor)->take_over(); !taken)
      return fail_start({taken.error().what}, kExitCannotStart);
  }
  if (auto opened = open_admin(); !opened && !takes_over) {
    return fail_start({opened.error().what}, kExitCannotStart);
  } else if (!opened) {
    (*log)->error(opened.error().what);
  }
  if (!takes_over) (*supervisor)->start();
  (*supervisor)
      ->set_admin_door({.close = [&] { admin.reset(); },
                        .open =
                            [&] {
                              if (auto opened = open_admin(); !opened) (*log)->error(opened.error().what);
                            }});
  if (started) started(**supervisor, admin.get());
  return (*supervisor)->run();
}

}  // namespace headgate
