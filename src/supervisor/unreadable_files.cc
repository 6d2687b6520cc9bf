#include "supervisor/unreadable_files.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "net/fd.h"
#include "supervisor/privileges.h"

namespace headgate {
namespace {

namespace fs = std::filesystem;

/// Of a directory with many certificates, the operator needs to hear of a few.
constexpr std::size_t kMostFiles = 20;

bool may_not(const std::string& path, int mode) {
  return ::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) != 0 && errno == EACCES;
}

void add_unreadable_entries(const FileWatch::Entries& entries, std::vector<std::string>& into) {
  if (may_not(entries.directory, R_OK | X_OK)) return into.push_back(entries.directory);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(entries.directory, error)) {
    if (into.size() > kMostFiles) return;
    const std::string path = entry.path().string();
    if (entries.wanted(entry.path().filename().string()) && may_not(path, R_OK)) into.push_back(path);
  }
}

/// Each path with a NUL behind it.
std::string as_text(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths) text += path + '\0';
  return text;
}

std::vector<std::string> as_paths(const std::string& text) {
  std::vector<std::string> paths;
  for (std::size_t at = 0, end = 0; (end = text.find('\0', at)) != text.npos; at = end + 1)
    paths.push_back(text.substr(at, end - at));
  return paths;
}

std::string read_all(const Fd& from) {
  std::string text;
  std::array<char, 4096> part{};
  for (ssize_t size = 0; (size = ::read(from.number(), part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<std::size_t>(size));
  return text;
}

[[noreturn]] void answer(const std::string& text, int exit_code, const Fd& into) {
  std::string_view rest(text);
  while (!rest.empty()) {
    const ssize_t written = ::write(into.number(), rest.data(), rest.size());
    if (written <= 0) ::_exit(1);
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  ::_exit(exit_code);
}

[[noreturn]] void look_as_the_user(const config::Config& config, const ConfigFiles& config_files,
                                   const Fd& into) {
  if (auto dropped = drop_privileges(config.user, config.group); !dropped)
    answer(dropped.error().what, 1, into);
  answer(as_text(unreadable_files(config, config_files)), 0, into);
}

}  // namespace

std::vector<std::string> unreadable_files(const config::Config& config, const ConfigFiles& config_files) {
  const WatchedFiles named = watched_files(config, config_files);
  std::vector<std::string> unreadable;
  for (const std::string& file : named.files) {
    if (may_not(file, R_OK)) unreadable.push_back(file);
  }
  for (const auto& entries : named.entries) add_unreadable_entries(entries, unreadable);
  return unreadable;
}

Result<std::vector<std::string>> unreadable_after_start(const config::Config& config,
                                                        const ConfigFiles& config_files) {
  if (::geteuid() != 0 || (config.user.empty() && config.group.empty())) return {};
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe", errno);
  const Fd ours(ends[0]);
  Fd its(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("cannot start a process", errno);
  if (child == 0) look_as_the_user(config, config_files, its);
  its.close();
  const std::string text = read_all(ours);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return as_paths(text);
  return fail(ErrorKind::kRefused, text);
}

std::string consequence_of_unreadable(const config::Config& config, const std::string& file) {
  const std::string user = config.user.empty() ? "group \"" + config.group + "\"" : "\"" + config.user + "\"";
  return file + ": " + user +
         " may not read it, so every reload and upgrade will fail, although the start as root can read it: "
         "let that user read the file (`chgrp GROUP FILE && chmod g+r FILE`) and search the directories "
         "above";
}

}  // namespace headgate
