#pragma once

#include <string>
#include <vector>

#include "poller.h"

namespace headgate::bench {

/// CPU time of the proxy's processes and wall time, from begin() to end().
class Measure {
 public:
  explicit Measure(std::vector<int> pids) : pids_(std::move(pids)) {}

  void begin();
  void end();
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(ended_ - began_).count(); }
  [[nodiscard]] double cpu_seconds() const { return cpu_ended_ - cpu_began_; }

 private:
  [[nodiscard]] double cpu() const;

  std::vector<int> pids_;
  TimePoint began_{}, ended_{};
  double cpu_began_ = 0, cpu_ended_ = 0;
};

/// What a mode found, printed as one line of JSON.
class Report {
 public:
  void add(const char* name, double value);
  void add(const Measure& measure);
  /// Median and 99th percentile of `latencies`, in milliseconds.
  void add_latencies(std::vector<Clock::duration> latencies);
  void print() const;

 private:
  std::string fields_;
};

}  // namespace headgate::bench
