#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace headgate {

/// A few threads that make answers of one kind, each of which may have to wait for other threads. A bounded
/// number of answers waits for a free thread.
class AnswerThreads {
 public:
  using Job = std::function<void()>;
  struct Size {
    std::size_t threads = 1;
    std::size_t waiting = 16;  ///< How many answers wait at most, in addition to those being made.
  };

  explicit AnswerThreads(Size size) : size_(size) {}
  ~AnswerThreads() { close(); }
  AnswerThreads(const AnswerThreads&) = delete;
  AnswerThreads& operator=(const AnswerThreads&) = delete;

  /// Starts the threads, which take no signals. `name` has at most 15 bytes. Call once. Errors: kSystem.
  [[nodiscard]] Result<void> start(const std::string& name);
  /// False where too many wait or the threads end: `job` is dropped then. Any thread.
  [[nodiscard]] bool offer(Job job);
  /// Drops the jobs that wait, and waits for those under way.
  void close();

 private:
  void run(const std::string& name);

  Size size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> waiting_;       // guarded by mutex_
  bool closing_ = false;          // guarded by mutex_
  std::vector<std::thread> all_;  // last: they use the other members
};

}  // namespace headgate
