#include "cli/run_process.h"

#include <csignal>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/admin_answers.h"
#include "admin/admin_doors.h"
#include "base/exit_code.h"
#include "supervisor/crash_report.h"
#include "supervisor/sandbox.h"

namespace headgate {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
}

/// `file` is the configuration; without one the command line gave the keys, so the message names its options.
int fail_start(std::vector<std::string> messages, int exit_code, const std::string& file) {
  for (std::string& message : messages) {
    if (file.empty()) {
      replace_all(message, "listeners[0].bind", "--listen");
      replace_all(message, "admin.bind", "--admin");
    }
    // In one piece: the log's thread writes there too.
    std::cerr << "headgate: " + message + '\n';
  }
  return exit_code;
}

}  // namespace

int run_process(Supervisor::Settings settings,
                const std::function<void(const Supervisor&, const AdminServer*)>& started) {
  install_crash_report();
  const std::string file = settings.config_file;
  std::signal(SIGPIPE, SIG_IGN);
  // The log is opened before the configuration is checked. Supervisor::make() reads it again and reports the
  // faults.
  const config::Config config = settings.load().config;
  if (config.sandbox) keep_memory_private();  // before a key is read
  const config::Log& wanted = config.log;
  // Its thread starts in the sandbox, as every other thread does.
  auto log =
      Log::open({.level = wanted.level, .format = wanted.format, .thread = LogOptions::Thread::kLater});
  if (!log) return fail_start({log.error().what}, kExitCannotStart, file);
  auto supervisor = Supervisor::make(std::move(settings), **log);
  if (!supervisor) return fail_start(supervisor.error().messages, supervisor.error().exit_code, file);
  AdminAnswers answers(**supervisor);
  AdminDoors admin((*supervisor)->config(), answers, **log);
  const auto open_admin = [&](ListeningSockets::AdminSockets sockets) {
    if (auto opened = admin.open(std::move(sockets)); !opened) (*log)->error(opened.error().what);
  };
  // Live connections wait in a process that takes over, and go on even where its admin address is taken.
  const bool takes_over = (*supervisor)->has_predecessor();
  if (takes_over) {
    if (auto taken = (*supervisor)->take_over(); !taken)
      return fail_start({taken.error().what}, kExitCannotStart, file);
  }
  if (auto opened = admin.open((*supervisor)->take_admin_sockets()); !opened && !takes_over) {
    return fail_start({opened.error().what}, kExitCannotStart, file);
  } else if (!opened) {
    (*log)->error(opened.error().what);
  }
  if (!takes_over) (*supervisor)->start();
  (*supervisor)
      ->set_admin_door(
          {.held = [&] { return admin.held(); }, .close = [&] { admin.close(); }, .open = open_admin});
  if (started) started(**supervisor, admin.server());
  return (*supervisor)->run();
}

}  // namespace headgate
