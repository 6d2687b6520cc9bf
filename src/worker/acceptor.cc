#include "worker/acceptor.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/out_of_memory.h"
#include "net/socket.h"

namespace headgate {
namespace {

// Accepting is cheap compared with the steps that follow, and must not wait for them: but one full backlog
// may not hold up all other connections for a whole turn either.
constexpr int kAcceptsPerTurn = 64;
constexpr Duration kPause = std::chrono::milliseconds(100);

Fd open_spare() {
  return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

struct AcceptOutcome {
  Fd client;
  Address source;
  int error = 0;
};

AcceptOutcome accept_one(int listening) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  const int fd =
      ::accept4(listening, reinterpret_cast<sockaddr*>(&storage), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return {Fd(), Address(), errno};
  return {Fd(fd), Address::from_socket(storage, size), 0};
}

}  // namespace

Acceptor::Acceptor(Loop& loop, Fd socket, Waiting waiting, Accepted accepted,
                   OutOfDescriptors out_of_descriptors, MakeRoom make_room)
    : socket_(std::move(socket)),
      spare_(open_spare()),
      waiting_(std::move(waiting)),
      accepted_(std::move(accepted)),
      out_of_descriptors_(std::move(out_of_descriptors)),
      make_room_(std::move(make_room)),
      watcher_(loop, this, IoWatcher::Calls<&Acceptor::ready>()),
      pause_(loop, this, Timer::Calls<&Acceptor::pause_over>()) {
  watcher_.attach(socket_.number());
  watcher_.watch(Interest::kRead);
}

void Acceptor::ready(void* self, Interest ready) {
  auto* acceptor = static_cast<Acceptor*>(self);
  if (ready == Interest::kNone)
    return acceptor->pause_.set(Clock::now() + kPause);  // not watched: watch anew
  // Without memory for the queue the loop finds the socket ready again.
  static_cast<void>(done_unless_out_of_memory([acceptor] { acceptor->waiting_(*acceptor); }));
}

void Acceptor::pause_over(void* self) {
  auto* acceptor = static_cast<Acceptor*>(self);
  if (!acceptor->spare_) acceptor->spare_ = open_spare();
  acceptor->watcher_.watch(Interest::kRead);
}

void Acceptor::accept_some(TimePoint end) {
  for (int i = 0; i < budget_; ++i) {
    if (i > 0 && Clock::now() > end) return;
    switch (accept_next()) {
      case Next::kGoOn:
        break;
      case Next::kShortage:
        return refuse_one();
      case Next::kNoneWaits:
        budget_ = 1;
        return;
    }
  }
  budget_ = std::min(2 * budget_, kAcceptsPerTurn);
}

void Acceptor::accept_waiting(TimePoint end) {
  while (Clock::now() < end && accept_next() == Next::kGoOn) {
  }
}

Acceptor::Next Acceptor::accept_next() {
  AcceptOutcome outcome = accept_one(socket_.number());
  if (outcome.client) {
    accepted_(std::move(outcome.client), outcome.source);
  } else if (is_shortage(outcome.error)) {
    if (!make_room_()) return Next::kShortage;
  } else if (outcome.error == EAGAIN || outcome.error == EWOULDBLOCK) {
    return Next::kNoneWaits;
  }
  // Any other error is about the one connection that was to be accepted (ECONNABORTED, and errors of its
  // network).
  return Next::kGoOn;
}

void Acceptor::refuse_one() {
  spare_.close();
  const bool refused = static_cast<bool>(accept_one(socket_.number()).client);
  spare_ = open_spare();
  watcher_.watch(Interest::kNone);
  pause_.set(Clock::now() + kPause);
  out_of_descriptors_(refused);
}

}  // namespace headgate
