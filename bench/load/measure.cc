#include "measure.h"

#include <time.h>

#include <algorithm>
#include <cstdio>

#include "options.h"

namespace headgate::bench {

/// The kernel's CPU clock of each process: nanoseconds, user and system, all threads, those that have ended
/// included.
double Measure::cpu() const {
  double seconds = 0;
  for (const int pid : pids_) {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
      give_up("process " + std::to_string(pid) + " has ended: its CPU time cannot be read");
    }
    seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }
  return seconds;
}

void Measure::begin() {
  cpu_began_ = cpu();
  began_ = Clock::now();
}

void Measure::end() {
  ended_ = Clock::now();
  cpu_ended_ = cpu();
}

void Report::add(const char* name, double value) {
  char field[96];
  std::snprintf(field, sizeof field, "%s\"%s\": %.9g", fields_.empty() ? "" : ", ", name, value);
  fields_ += field;
}

void Report::add(const Measure& measure) {
  add("seconds", measure.seconds());
  add("cpu_seconds", measure.cpu_seconds());
}

void Report::add_latencies(std::vector<Clock::duration> latencies) {
  if (latencies.empty()) return;
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&latencies](double share) {
    const auto index = static_cast<std::size_t>(share * static_cast<double>(latencies.size() - 1));
    return std::chrono::duration<double, std::milli>(latencies[index]).count();
  };
  add("p50_ms", at(0.5));
  add("p99_ms", at(0.99));
}

void Report::print() const {
  std::printf("{%s}\n", fields_.c_str());
  std::fflush(stdout);
}

}  // namespace headgate::bench
