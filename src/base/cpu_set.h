#pragma once

#include <pthread.h>
#include <sched.h>

#include <array>
#include <cstddef>

namespace headgate {

/// A set of CPUs, by the kernel's numbers from 0 to 8191. A value.
class CpuSet {
 public:
  /// Those on which the calling thread may run (its affinity, sched_setaffinity(2)).
  [[nodiscard]] static CpuSet of_this_thread();

  void add(std::size_t cpu);
  [[nodiscard]] bool has(std::size_t cpu) const;
  [[nodiscard]] int count() const;
  /// Lets `thread` run on these CPUs alone. False where the kernel refuses, as where the process may use none
  /// of them: then nothing has changed.
  bool bind(pthread_t thread) const;

 private:
  // Eight of glibc's sets: 8,192 CPUs, the most that Linux can be built for.
  std::array<cpu_set_t, 8> cpus_{};
};

}  // namespace headgate
