#include "cli/run_process.h"

#include <csignal>
#include <iostream>

#include "supervisor/admin_answers.h"
#include "supervisor/crash_report.h"

namespace headgate {
namespace {

constexpr int kExitCannotStart = 3;

int fail_start(const std::vector<std::string>& messages, int exit_code) {
  for (const auto& message : messages) std::cerr << "headgate: " << message << '\n';
  return exit_code;
}

}  // namespace

int run_process(Supervisor::Settings settings,
                const std::function<void(const Supervisor&, const AdminServer*)>& started) {
  install_crash_report();
  std::signal(SIGPIPE, SIG_IGN);
  // The log's form is needed before the configuration is judged; what is wrong with that is said once, below.
  const config::Log wanted = settings.load().config.log;
  auto log = Log::open(
      {.level = static_cast<LogLevel>(wanted.level), .format = static_cast<LogFormat>(wanted.format)});
  if (!log) return fail_start({log.error().what}, kExitCannotStart);
  auto supervisor = Supervisor::make(std::move(settings), **log);
  if (!supervisor) return fail_start(supervisor.error().messages, supervisor.error().exit_code);
  AdminAnswers answers(**supervisor);
  std::unique_ptr<AdminServer> admin;
  if (const auto& bind = (*supervisor)->config().admin) {
    auto opened = AdminServer::open(*bind, answers);
    if (!opened) return fail_start({opened.error().what}, kExitCannotStart);
    admin = *std::move(opened);
    (*log)->info("admin listening", {{"address", admin->bound_address().text()}});
  }
  (*supervisor)->start();
  if (started) started(**supervisor, admin.get());
  return (*supervisor)->run();
}

}  // namespace headgate
