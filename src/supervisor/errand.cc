#include "supervisor/errand.h"

namespace headgate {

void Errand::run(const std::function<void()>& work, std::function<void()> then) {
  under_way_ = true;
  then_ = std::move(then);
  const auto work_and_tell = [&inbox = inbox_, work, ended = lifeline_.guard([this] { end(); })] {
    work();
    inbox.post(ended);
  };
  auto started = ServiceThread::start(name_, [work_and_tell](ServiceThread&) { work_and_tell(); });
  if (!started) return work_and_tell();
  thread_ = *std::move(started);
}

// The thread posted this call as its last act, so the main thread need not wait for its end. `then` may begin
// the next errand.
void Errand::end() {
  thread_.reset();
  under_way_ = false;
  std::exchange(then_, nullptr)();
}

}  // namespace headgate
