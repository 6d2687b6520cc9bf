#include "admin/answer_threads.h"

#include <pthread.h>

#include <system_error>
#include <utility>

#include "base/thread_signals.h"

namespace headgate {

Result<void> AnswerThreads::start(const std::string& name) {
  try {
    for (std::size_t i = 0; i < size_.threads; ++i) all_.emplace_back([this, name] { run(name); });
  } catch (const std::system_error& error) {
    return fail(ErrorKind::kSystem,
                std::string("cannot start a thread of the admin endpoint: ") + error.what());
  }
  return {};
}

bool AnswerThreads::offer(Job job) {
  const std::lock_guard lock(mutex_);
  if (closing_ || waiting_.size() >= size_.waiting) return false;
  waiting_.push_back(std::move(job));
  changed_.notify_one();
  return true;
}

void AnswerThreads::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    waiting_.clear();
    changed_.notify_all();
  }
  for (std::thread& thread : all_) thread.join();
  all_.clear();
}

void AnswerThreads::run(const std::string& name) {
  block_process_signals();
  pthread_setname_np(pthread_self(), name.c_str());
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
    if (closing_) return;
    const Job job = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    job();
  }
}

}  // namespace headgate
