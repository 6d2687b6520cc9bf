#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "connection/connection.h"

namespace headgate {

/// Looks at what TCP knows of a worker's established connections, a few of them at a time, in turn. So
/// connections cost nothing for it, and many of them hold up the loop no longer than few. Worker's thread.
class TcpSampler {
 public:
  /// Two system calls for each: 64 take some 50 us.
  static constexpr std::size_t kConnectionsAtOnce = 64;

  /// Goes on where it stopped in the worker's list, whose order may have changed meanwhile, and counts what
  /// it finds in the metrics of each connection's listener. Each connection is looked at once at most.
  void sample(const std::vector<std::unique_ptr<Connection>>& connections);

 private:
  std::size_t next_ = 0;
};

}  // namespace headgate
