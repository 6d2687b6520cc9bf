#include "worker/crypto_offload.h"

#include <pthread.h>

#include <ctime>
#include <string>
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

// It begins with the name of the thread that started it.
void append_to_thread_name(const char* suffix) {
  char name[16] = {};  // as long as Linux lets them be
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

void CryptoOffload::run(Step step) {
  ++pending_;
  {
    const std::lock_guard lock(mutex_);
    steps_.push_back(std::move(step));
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  wake_.notify_one();
}

void CryptoOffload::work() {
  const CrashStack stack;
  append_to_thread_name("-slow");
  work_in_background();
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !steps_.empty(); });
    if (stopping_) return;
    Step step = std::move(steps_.front());
    steps_.pop_front();
    lock.unlock();
    const CrashTag tag(step.listener.c_str(), step.connection);
    const Duration begin = thread_cpu_time();
    step.status = step.client->handshake();
    step.cpu = thread_cpu_time() - begin;
    // std::function wants something that can be copied.
    auto done = std::make_shared<Step>(std::move(step));
    inbox_.post([this, done] {
      --pending_;
      finished_(std::move(*done));
    });
  }
}

}  // namespace headgate
