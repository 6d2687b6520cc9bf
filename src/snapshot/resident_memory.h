#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/units.h"
#include "net/fd.h"

namespace headgate {

/// Says how much memory of the process is resident, cheaply enough to be asked for each connection. The
/// kernel is asked every kInterval at most. Any thread.
class ResidentMemory {
 public:
  /// In so short a time even a flood adds only some MiB.
  static constexpr Duration kInterval = std::chrono::milliseconds(20);

  /// Opens `file` once, so that it can be read behind the sandbox too: /proc/self/statm, or one of that form
  /// (proc_pid_statm(5)). A file that cannot be read says 0.
  explicit ResidentMemory(const char* file = "/proc/self/statm");

  [[nodiscard]] Bytes size(TimePoint now);

 private:
  Fd file_;
  std::atomic<Duration::rep> next_look_{0};
  std::atomic<std::uint64_t> bytes_{0};
};

/// Takes the resident pages out of the text of /proc/PID/statm; 0 where they are not there. Pure.
[[nodiscard]] std::uint64_t resident_pages(std::string_view statm);

}  // namespace headgate
