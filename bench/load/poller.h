#pragma once

#include <chrono>

namespace headgate::bench {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

/// What has a descriptor in a Poller.
class Pollable {
 public:
  Pollable() = default;
  Pollable(const Pollable&) = delete;
  Pollable& operator=(const Pollable&) = delete;
  virtual ~Pollable() = default;
  /// Something may have changed: go on until nothing more can be done. The last thing it does may destroy it,
  /// but no other Pollable.
  virtual void on_ready() = 0;
};

/// Edge-triggered epoll: each descriptor is added once and never changed, so watching costs the load next to
/// nothing.
class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// Watches `fd` both ways until it is closed.
  void add(int fd, Pollable& pollable);
  /// Serves what is ready, waiting for it until `latest` at most.
  void turn(TimePoint latest);

 private:
  int epoll_;
};

}  // namespace headgate::bench
