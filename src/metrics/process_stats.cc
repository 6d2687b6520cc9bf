#include "metrics/process_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <ctime>
#include <memory>

#include "base/descriptor_limit.h"

namespace headgate {
namespace {

// Fields of /proc/PID/stat behind the program's name, counted from 0 (proc_pid_stat(5) counts the state as
// 3).
constexpr std::size_t kUserTicks = 11, kSystemTicks = 12, kThreads = 17, kStartTicks = 19, kVirtualBytes = 20,
                      kResidentPages = 21, kFieldsUsed = 22;

/// Wall-clock seconds at which the machine's boot clock was zero: start times are given on that clock.
double boot_time() {
  timespec since_boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return now.count() - static_cast<double>(since_boot.tv_sec) - static_cast<double>(since_boot.tv_nsec) / 1e9;
}

struct DirCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

}  // namespace

ProcessStats::ProcessStats()
    : stat_fd_(::open("/proc/self/stat", O_RDONLY | O_CLOEXEC)),
      fd_directory_(::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      boot_time_seconds_(boot_time()) {}

ProcessStats::~ProcessStats() {
  if (stat_fd_ >= 0) ::close(stat_fd_);
  if (fd_directory_ >= 0) ::close(fd_directory_);
}

ProcessStats::Numbers ProcessStats::read() const {
  std::array<char, 1024> text;
  const ssize_t size = ::pread(stat_fd_, text.data(), text.size(), 0);
  const auto parsed = parse_proc_stat({text.data(), size > 0 ? static_cast<std::size_t>(size) : 0},
                                      static_cast<double>(::sysconf(_SC_CLK_TCK)),
                                      static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  Numbers numbers = parsed.value_or(Numbers{});
  if (parsed) numbers.start_time_seconds += boot_time_seconds_;
  numbers.open_fds = count_fds();
  numbers.max_fds = descriptor_limit();
  return numbers;
}

std::uint64_t ProcessStats::count_fds() const {
  // Since Linux 6.2 the size of the directory is the number of open descriptors.
  struct stat status{};
  if (::fstat(fd_directory_, &status) == 0 && status.st_size > 0)
    return static_cast<std::uint64_t>(status.st_size);
  const std::lock_guard lock(directory_mutex_);
  const int copy = ::fcntl(fd_directory_, F_DUPFD_CLOEXEC, 0);
  const std::unique_ptr<DIR, DirCloser> directory(copy < 0 ? nullptr : ::fdopendir(copy));
  if (!directory) return 0;
  ::rewinddir(directory.get());
  std::uint64_t entries = 0;
  while (const dirent* entry = ::readdir(directory.get())) entries += entry->d_name[0] != '.';
  return entries - 1;  // the copy of the descriptor does not count as the process's
}

Result<ProcessStats::Numbers> parse_proc_stat(std::string_view text, double ticks_per_second,
                                              std::uint64_t page_bytes) {
  const auto name_end = text.rfind(')');
  if (name_end == text.npos) return fail(ErrorKind::kMalformed, "/proc/self/stat: no program name");
  std::string_view rest = text.substr(name_end + 1);
  std::array<std::uint64_t, kFieldsUsed> fields{};
  for (auto& field : fields) {
    const auto start = rest.find_first_not_of(" \n");
    if (start == rest.npos) return fail(ErrorKind::kMalformed, "/proc/self/stat: too few fields");
    rest.remove_prefix(start);
    // Fields that are not plain numbers (the state, negative ones) are not used and stay zero.
    std::from_chars(rest.data(), rest.data() + rest.size(), field);
    rest.remove_prefix(std::min(rest.find_first_of(" \n"), rest.size()));
  }
  ProcessStats::Numbers numbers;
  numbers.cpu_seconds = static_cast<double>(fields[kUserTicks] + fields[kSystemTicks]) / ticks_per_second;
  numbers.start_time_seconds = static_cast<double>(fields[kStartTicks]) / ticks_per_second;
  numbers.threads = fields[kThreads];
  numbers.virtual_bytes = fields[kVirtualBytes];
  numbers.resident_bytes = fields[kResidentPages] * page_bytes;
  return numbers;
}

}  // namespace headgate
