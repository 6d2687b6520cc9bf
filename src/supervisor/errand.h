#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "event/inbox.h"
#include "net/service_thread.h"
#include "supervisor/lifeline.h"

namespace headgate {

/// One piece of work at a time that may wait (for a disk, for a thread to end), on a thread of its own: the
/// main thread does not wait with it. Main thread, but for the work itself.
///
/// Destroying it waits until the work has ended; the end is not told any more then.
class Errand {
 public:
  /// `inbox` is of the main thread's loop and outlives the errand. `name` is the thread's.
  Errand(Inbox& inbox, std::string name) : inbox_(inbox), name_(std::move(name)) {}
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

  /// Runs `work` there, and then `then` on the loop. Not while another piece of work is under way. Where the
  /// system has no thread left, `work` runs here.
  void run(const std::function<void()>& work, std::function<void()> then);
  [[nodiscard]] bool is_under_way() const { return under_way_; }

 private:
  void end();

  Inbox& inbox_;
  std::string name_;
  bool under_way_ = false;
  std::function<void()> then_;
  Lifeline lifeline_;
  std::unique_ptr<ServiceThread> thread_;  // last: stops before what it uses goes
};

}  // namespace headgate
