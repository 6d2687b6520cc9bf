#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "event/inbox.h"
#include "net/service_thread.h"
#include "supervisor/lifeline.h"

namespace headgate {

/// Runs one piece of work at a time that may wait (for a disk, for a thread to end), on a thread of its own,
/// so that the main thread does not wait. Main thread, but for the work itself.
///
/// Destroying it waits until the work has ended; `then` is not called any more.
class Errand {
 public:
  /// `inbox` belongs to the main thread's loop and outlives the errand. `name` is the thread's.
  Errand(Inbox& inbox, std::string name) : inbox_(inbox), name_(std::move(name)) {}
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

  /// Runs `work` on that thread, and afterwards `then` on the loop. Call it only while no other work is under
  /// way. Where the system has no thread left, `work` runs on the caller's thread.
  void run(const std::function<void()>& work, std::function<void()> then);
  [[nodiscard]] bool is_under_way() const { return under_way_; }

 private:
  void end();

  Inbox& inbox_;
  std::string name_;
  bool under_way_ = false;
  std::function<void()> then_;
  Lifeline lifeline_;
  std::unique_ptr<ServiceThread> thread_;  // last: the thread stops before the objects that it uses go
};

}  // namespace headgate
