#include "worker/crypto_offload.h"

#include <pthread.h>

#include <ctime>
#include <string>
#include <system_error>
#include <utility>

#include "base/crash_stack.h"
#include "base/crash_tag.h"
#include "base/time_slice.h"

namespace headgate {
namespace {

Duration thread_cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// A new thread has the name of the thread that started it.
void append_to_thread_name(const char* suffix) {
  char name[16] = {};  // Linux allows no longer name
  pthread_getname_np(pthread_self(), name, sizeof name);
  pthread_setname_np(pthread_self(), (std::string(name) + suffix).c_str());
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

void CryptoOffload::run(Task task) {
  ++pending_;
  if (!has_thread()) return perform(std::move(task));
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

bool CryptoOffload::has_thread() {
  try {
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

void CryptoOffload::work() {
  const CrashStack stack;
  append_to_thread_name("-rsa");
  work_in_background();
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (stopping_) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    perform(std::move(task));
  }
}

void CryptoOffload::perform(Task task) {
  const CrashTag tag(task.listener.c_str(), task.connection);
  const Duration begin = thread_cpu_time();
  // Held by nobody else: the connection has ended meanwhile.
  if (task.operation.use_count() > 1) task.operation->perform();
  task.cpu = thread_cpu_time() - begin;
  inbox_.post([this, done = std::move(task)] {
    --pending_;
    finished_(done);
  });
}

}  // namespace headgate
