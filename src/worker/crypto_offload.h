#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/units.h"
#include "event/inbox.h"
#include "net/stream.h"

namespace headgate {

/// A worker's other thread: it drives the handshakes whose signatures take longer than a loop can spare
/// (RSA), at a lower priority, so that whoever is connected already does not feel them.
///
/// Started with the first step. The streams given to it are detached; it touches nothing else of the worker.
/// Answers come through the worker's inbox. Made and used on the loop's thread.
class CryptoOffload {
 public:
  struct Step {
    std::uint64_t connection = 0;  ///< Its id.
    std::string listener;          ///< Its name, for the report of a crash.
    std::unique_ptr<Stream> client;
    IoStatus status = IoStatus::kWantRead;
    Duration cpu{};
  };
  using Finished = std::function<void(Step)>;

  /// `finished` is called on the loop's thread, with each step.
  CryptoOffload(Inbox& inbox, Finished finished) : inbox_(inbox), finished_(std::move(finished)) {}
  /// Waits for the step at hand; those behind it are not taken.
  ~CryptoOffload();
  CryptoOffload(const CryptoOffload&) = delete;
  CryptoOffload& operator=(const CryptoOffload&) = delete;

  void run(Step step);
  /// Steps handed over and not given back yet.
  [[nodiscard]] std::size_t pending() const { return pending_; }

 private:
  void work();

  Inbox& inbox_;
  Finished finished_;
  std::size_t pending_ = 0;  // loop thread
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Step> steps_;  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
  std::thread thread_;
};

}  // namespace headgate
