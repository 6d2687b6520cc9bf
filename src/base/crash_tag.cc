#include "base/crash_tag.h"

#include <unistd.h>

#include <cstring>

namespace headgate {
namespace {

void put(int fd, const char* text, std::size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd, text, size);
    if (written <= 0) return;
    text += written;
    size -= static_cast<std::size_t>(written);
  }
}

void put(int fd, const char* text) {
  put(fd, text, std::strlen(text));
}

void put(int fd, std::uint64_t number) {
  char digits[20];
  std::size_t at = sizeof digits;
  do {
    digits[--at] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0);
  put(fd, digits + at, sizeof digits - at);
}

}  // namespace

constinit thread_local const CrashTag* CrashTag::current_ = nullptr;

void CrashTag::write_current(int fd) {
  const CrashTag* tag = current_;
  if (tag == nullptr) return;
  put(fd, "headgate: at work on connection ");
  put(fd, tag->connection_id_);
  put(fd, " of listener ");
  put(fd, tag->listener_);
  put(fd, "\n");
}

}  // namespace headgate
