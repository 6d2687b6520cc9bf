#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>

#include "base/result.h"

namespace headgate {

/// Reads the kernel's numbers about this process, for the standard `process_*` metrics.
///
/// It opens its files once, so that it still works behind the sandbox. Any thread.
class ProcessStats {
 public:
  struct Numbers {
    double cpu_seconds = 0;
    double start_time_seconds = 0;  ///< Since 1970.
    std::uint64_t resident_bytes = 0, virtual_bytes = 0;
    std::uint64_t open_fds = 0, max_fds = 0, threads = 0;
  };

  /// Opens /proc/self. A file that cannot be opened reads as zero.
  ProcessStats();
  ~ProcessStats();
  ProcessStats(const ProcessStats&) = delete;
  ProcessStats& operator=(const ProcessStats&) = delete;

  [[nodiscard]] Numbers read() const;

 private:
  [[nodiscard]] std::uint64_t count_fds() const;

  int stat_fd_;
  int fd_directory_;
  double boot_time_seconds_;
  mutable std::mutex directory_mutex_;  // one reader at a time: the directory has one position
};

/// Takes the numbers of /proc/PID/stat (proc_pid_stat(5)) out of `text`; the program's name in it may hold
/// any bytes. `ticks_per_second` and `page_bytes` are the system's. Pure. Errors: kMalformed.
[[nodiscard]] Result<ProcessStats::Numbers> parse_proc_stat(std::string_view text, double ticks_per_second,
                                                            std::uint64_t page_bytes);

}  // namespace headgate
