#include "worker/crypto_offload.h"

#include <pthread.h>

#include <cstring>
#include <system_error>
#include <utility>

#include "base/crash_stack.h"
#include "base/crash_tag.h"
#include "base/out_of_memory.h"
#include "base/thread_cpu_time.h"
#include "base/time_slice.h"

namespace headgate {
namespace {

// How long the thread waits for memory in which to say that an operation is finished.
constexpr Duration kMemoryPause = std::chrono::milliseconds(1);

// A new thread has the name of the thread that started it.
void append_to_thread_name(const char* suffix) {
  char name[16] = {};  // Linux allows no longer name
  pthread_getname_np(pthread_self(), name, sizeof name);
  std::strncat(name, suffix, sizeof name - std::strlen(name) - 1);
  pthread_setname_np(pthread_self(), name);
}

}  // namespace

CryptoOffload::~CryptoOffload() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void CryptoOffload::run_on(const CpuSet& cpus) {
  cpus_ = cpus;
  if (thread_.joinable()) cpus_->bind(thread_.native_handle());
}

void CryptoOffload::run(Task task) {
  if (!has_thread()) {
    ++pending_;
    return perform(std::move(task));
  }
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  ++pending_;
  wake_.notify_one();
}

// The next operation tries again.
bool CryptoOffload::has_thread() {
  if (thread_.joinable()) return true;
  try {
    thread_ = std::thread([this] { work(); });
    if (cpus_) cpus_->bind(thread_.native_handle());
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

void CryptoOffload::work() {
  const CrashStack stack;
  append_to_thread_name("-rsa");
  work_in_background();
  RegularYields yields;
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (stopping_) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    yields.begin();
    perform(std::move(task));
    yields.end();
  }
}

// Without memory for the message the thread tries again: the connection waits, and the queue counts the task.
void CryptoOffload::perform(Task task) {
  const CrashTag tag(task.listener.c_str(), task.connection);
  const Duration begin = thread_cpu_time();
  // Held by nobody else: the connection has ended meanwhile.
  if (task.operation.use_count() > 1) task.operation->perform();
  task.cpu = thread_cpu_time() - begin;
  const auto post = [&] {
    inbox_.post([this, done = task] {
      --pending_;
      finished_(done);
    });
  };
  while (!done_unless_out_of_memory(post)) std::this_thread::sleep_for(kMemoryPause);
}

}  // namespace headgate
