#include "tls/handshake/secret_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "net/fd.h"

namespace headgate {
namespace {

FileStamp stamp_of(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size_bytes = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

/// Reads until the end: the file may have grown or shrunk since it was measured.
Result<void> read_all(int descriptor, std::size_t max_bytes, SecretBytes& into) {
  std::size_t filled = 0;
  for (;;) {
    if (filled == into.size()) into.resize(into.size() + 4096);
    const ssize_t count = ::read(descriptor, into.data() + filled, into.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("cannot read the file", errno);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
    if (filled > max_bytes)
      return fail(ErrorKind::kInvalid,
                  "the file is larger than " + std::to_string(max_bytes >> 20U) + " MiB");
  }
  into.resize(filled);
  return {};
}

}  // namespace

Result<FileStamp> stamp_file(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return fail_errno(path, errno);
  return stamp_of(status);
}

Result<SecretFile> read_secret_file(const std::string& path, std::size_t max_bytes) {
  // A FIFO would block an open for reading; O_NONBLOCK means nothing to a regular file.
  const Fd descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!descriptor) return fail_errno("cannot open the file", errno);
  struct stat status{};
  if (::fstat(descriptor.number(), &status) != 0) return fail_errno("cannot look at the file", errno);
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::kInvalid, "it is not a regular file");
  SecretFile file;
  file.stamp = stamp_of(status);
  file.mode = status.st_mode & 07777;
  file.owner = status.st_uid;
  // One byte more than there is, so that the end is seen without growing.
  file.bytes.resize(std::min<std::size_t>(static_cast<std::size_t>(status.st_size), max_bytes) + 1);
  if (auto read = read_all(descriptor.number(), max_bytes, file.bytes); !read)
    return tl::unexpected(read.error());
  return file;
}

bool is_private(const SecretFile& file) {
  const mode_t tolerated = file.owner == 0 ? S_IRWXU | S_IRGRP : S_IRWXU;
  return (file.mode & (S_IRWXU | S_IRWXG | S_IRWXO) & ~tolerated) == 0;
}

void warn_of_open_key(const SecretFile& file, const std::string& path, const char* config_key,
                      Diagnostics& out) {
  const bool readable = (file.mode & S_IROTH) != 0, writable = (file.mode & S_IWOTH) != 0;
  if (!readable && !writable) return;
  const std::string means = readable && writable ? "read and replace" : readable ? "read" : "replace";
  out.push_back({Severity::kWarning, path,
                 "every user of the machine can " + means + " the private key: run `chmod o= " + path + "`",
                 config_key});
}

}  // namespace headgate
