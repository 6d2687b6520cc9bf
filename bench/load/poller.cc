#include "poller.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace headgate::bench {

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

Poller::~Poller() {
  close(epoll_);
}

void Poller::add(int fd, Pollable& pollable) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &pollable;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void Poller::turn(TimePoint latest) {
  using std::chrono::milliseconds;
  const auto left = std::chrono::ceil<milliseconds>(latest - Clock::now());
  const auto wait = std::clamp(left, milliseconds(0), milliseconds(1000));
  std::array<epoll_event, 256> events;
  const int count = epoll_wait(epoll_, events.data(), events.size(), static_cast<int>(wait.count()));
  for (int i = 0; i < count; ++i)
    static_cast<Pollable*>(events[static_cast<std::size_t>(i)].data.ptr)->on_ready();
}

}  // namespace headgate::bench
