#include "snapshot/resident_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace headgate {
namespace {

std::uint64_t read_pages(int file) {
  std::array<char, 128> text;
  const ssize_t size = ::pread(file, text.data(), text.size(), 0);
  return size > 0 ? resident_pages({text.data(), static_cast<std::size_t>(size)}) : 0;
}

}  // namespace

ResidentMemory::ResidentMemory(const char* file) : file_(::open(file, O_RDONLY | O_CLOEXEC)) {}

// One thread reads when the time has come; the others take the last answer.
Bytes ResidentMemory::size(TimePoint now) {
  const Duration::rep present = now.time_since_epoch().count();
  Duration::rep due = next_look_.load(std::memory_order_relaxed);
  if (present >= due &&
      next_look_.compare_exchange_strong(due, present + kInterval.count(), std::memory_order_relaxed)) {
    static const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    bytes_.store(read_pages(file_.number()) * page_bytes, std::memory_order_relaxed);
  }
  return {bytes_.load(std::memory_order_relaxed)};
}

std::uint64_t resident_pages(std::string_view statm) {
  statm.remove_prefix(std::min(statm.find(' '), statm.size()));
  statm.remove_prefix(std::min(statm.find_first_not_of(' '), statm.size()));
  std::uint64_t pages = 0;
  std::from_chars(statm.data(), statm.data() + statm.size(), pages);
  return pages;
}

}  // namespace headgate
