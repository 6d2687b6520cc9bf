#include "supervisor/sandbox.h"

#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "supervisor/landlock.h"
#include "supervisor/system_call_filter.h"

namespace headgate {
namespace {

namespace fs = std::filesystem;

/// Tells the operator what failed, and the consequence.
bool take_note(const Result<void>& outcome, const char* consequence, SandboxReport& report) {
  if (!outcome) report.failures.push_back(outcome.error().what + ": Headgate runs without " + consequence);
  return outcome.has_value();
}

/// Whether the process was confined before this call, as every successor of a confined process is.
bool is_confined() {
  return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2;
}

Result<void> give_up_new_privileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("cannot set no_new_privs", errno);
  return {};
}

/// The program's loader (ld.so), by the file mapped at its base address; empty for a static program.
fs::path loader() {
  const unsigned long base = getauxval(AT_BASE);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; base != 0 && std::getline(maps, line);) {
    const auto path = line.find('/');
    if (path != line.npos && std::strtoul(line.c_str(), nullptr, 16) == base) return line.substr(path);
  }
  return {};
}

}  // namespace

std::vector<std::string> own_program_directories() {
  std::error_code error;
  std::vector<std::string> directories;
  for (const fs::path& file : {fs::read_symlink("/proc/self/exe", error), loader()}) {
    if (file.has_parent_path()) directories.push_back(file.parent_path());
  }
  return directories;
}

void keep_memory_private() {
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const rlimit none{};
  setrlimit(RLIMIT_CORE, &none);
}

Result<void> check_that_no_other_thread_runs() {
  std::error_code error;
  std::size_t threads = 0;
  for (fs::directory_iterator at("/proc/self/task", error), end; !error && at != end; at.increment(error))
    ++threads;
  if (error || threads <= 1) return {};  // where there is no /proc, nothing tells
  return fail(ErrorKind::kInvalid,
              "the sandbox cannot confine the " + std::to_string(threads - 1) +
                  " threads that run before it: this is a fault of Headgate or of a library that it loads; "
                  "`sandbox: off` starts without the sandbox");
}

SandboxReport enter_sandbox(std::vector<std::string> writable, const SandboxLayers& inherited) {
  writable.emplace_back("/dev/null");
  SandboxReport report;
  if (is_confined()) report.layers = inherited;
  report.no_new_privileges = take_note(give_up_new_privileges(), "its sandbox", report);
  if (!report.no_new_privileges) return report;  // the other means need it
  report.file_system =
      take_note(restrict_file_system({std::move(writable), own_program_directories()}, report.layers),
                "limits of its own on the files that it may write", report);
  report.system_calls = take_note(filter_system_calls(report.layers), "limits on system calls", report);
  return report;
}

}  // namespace headgate
