#include "net/service_thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

#include "base/thread_signals.h"

namespace headgate {
namespace {

/// Blocks every signal in this thread while it lives: a thread started meanwhile has them blocked for good.
class BlockedSignals {
 public:
  BlockedSignals() : before_(block_process_signals()) {}
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

Result<std::unique_ptr<ServiceThread>> ServiceThread::start(const std::string& name, Body body) {
  Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return fail_errno("cannot make an eventfd", errno);
  std::unique_ptr<ServiceThread> service(new ServiceThread(std::move(wake)));
  const BlockedSignals blocked;
  try {
    // By itself: another thread would write the name into /proc, which the sandbox refuses.
    service->thread_ = std::thread([self = service.get(), name, body = std::move(body)] {
      pthread_setname_np(pthread_self(), name.c_str());
      body(*self);
    });
  } catch (const std::system_error& error) {
    return fail_errno("cannot start the thread " + name, error.code().value());
  }
  return service;
}

ServiceThread::~ServiceThread() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  wake();
  thread_.join();
}

void ServiceThread::wake() {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the thread is awake already.
  [[maybe_unused]] const ssize_t written = ::write(wake_.number(), &one, sizeof one);
}

void ServiceThread::take_wake() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t read = ::read(wake_.number(), &count, sizeof count);
}

}  // namespace headgate
