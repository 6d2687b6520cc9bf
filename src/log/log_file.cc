#include "log/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <climits>

namespace headgate {
namespace {

/// The path of `fd` by proc(5); empty when it is unknown.
std::string path_of(int fd) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  std::string path(PATH_MAX, '\0');
  const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
  path.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return path;
}

bool is_same_file(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

}  // namespace

LogFile::LogFile(int fd) : fd_(fd) {
  struct stat status{};
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink > 0) path_ = path_of(fd);
}

Result<void> LogFile::reopen() const {
  struct stat open_now{}, named{};
  if (path_.empty() || ::fstat(fd_, &open_now) != 0) return {};
  if (::stat(path_.c_str(), &named) == 0 && is_same_file(open_now, named)) return {};
  const mode_t mode = open_now.st_mode & 0777;
  const int fresh = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, mode);
  if (fresh < 0) return fail_errno("cannot open the log again, " + path_, errno);
  const int replaced = ::dup3(fresh, fd_, 0);  // not closed by exec: the binary of an upgrade logs there too
  const int error = errno;
  ::close(fresh);
  if (replaced < 0) return fail_errno("cannot write the log to " + path_, error);
  return {};
}

}  // namespace headgate
