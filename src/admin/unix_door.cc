#include "admin/unix_door.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_signals.h"
#include "base/units.h"
#include "net/socket.h"

namespace headgate {
namespace {

/// One direction of a visitor's way: bytes that were read and not yet written wait in `pending`.
struct DoorFlow {
  int from = -1, to = -1;
  std::string pending{};
  bool ended = false;   // no more bytes will be read
  bool failed = false;  // either end is broken

  [[nodiscard]] bool over() const { return failed || (ended && pending.empty()); }

  void move() {
    if (pending.empty() && !ended) read();
    if (!pending.empty()) write();
  }

 private:
  void read() {
    std::array<std::byte, 16 * 1024> bytes;
    const SocketIo io = receive_some(from, bytes);
    if (io.status == IoStatus::kDone)
      pending.assign(reinterpret_cast<const char*>(bytes.data()), io.size_bytes);
    failed = failed || io.status == IoStatus::kFailed;
    ended = io.status == IoStatus::kEnded;
    if (ended) send_end(to);
  }
  void write() {
    const SocketIo io = send_some(to, std::as_bytes(std::span(pending)));
    if (io.status == IoStatus::kDone) pending.erase(0, io.size_bytes);
    failed = failed || io.status == IoStatus::kFailed;
  }
};

short wanted_events(const DoorFlow& reads, const DoorFlow& writes) {
  const int read = reads.pending.empty() && !reads.ended ? POLLIN : 0;
  const int write = writes.pending.empty() ? 0 : POLLOUT;
  return static_cast<short>(read | write);
}

}  // namespace

/// A client of the socket and its connection to the server.
struct UnixDoor::Visitor {
  Fd client, server;
  std::uint16_t port = 0;
  TimePoint deadline;
  DoorFlow inwards{.from = client.number(), .to = server.number()};
  DoorFlow outwards{.from = server.number(), .to = client.number()};

  /// The server answers one request and closes, so the end of its direction is the end of the visit.
  [[nodiscard]] bool over(TimePoint now) const {
    return outwards.over() || inwards.failed || now >= deadline;
  }
};

Result<std::unique_ptr<UnixDoor>> UnixDoor::open(const Address& address) {
  auto listening = listen_on(address, {.backlog = 64});
  if (!listening) return tl::unexpected(listening.error());
  Fd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return fail_errno("cannot make an eventfd for admin.bind", errno);
  return std::unique_ptr<UnixDoor>(new UnixDoor(address, std::move(*listening), std::move(stop)));
}

UnixDoor::UnixDoor(Address address, Fd listening, Fd stop)
    : address_(address), listening_(std::move(listening)), stop_(std::move(stop)) {}

UnixDoor::~UnixDoor() {
  close();
}

void UnixDoor::close() {
  if (!listening_) return;
  const std::uint64_t one = 1;
  static_cast<void>(::write(stop_.number(), &one, sizeof one) == sizeof one);
  if (thread_.joinable()) thread_.join();
  visitors_.clear();
  listening_ = Fd();
  {
    const std::lock_guard lock(mutex_);
    ports_.clear();
  }
  const auto* unix_address = reinterpret_cast<const sockaddr_un*>(address_.data());
  if (unix_address->sun_path[0] != '\0') ::unlink(unix_address->sun_path);
}

void UnixDoor::serve(std::uint16_t server_port) {
  server_port_ = server_port;
  thread_ = std::thread([this] { run(); });
}

bool UnixDoor::came_through(std::uint16_t client_port) const {
  const std::lock_guard lock(mutex_);
  return ports_.contains(client_port);
}

void UnixDoor::run() {
  block_process_signals();
  std::vector<pollfd> ready;
  do {
    const bool full = visitors_.size() >= kMaxVisitors;
    ready.assign({{stop_.number(), POLLIN, 0}, {full ? -1 : listening_.number(), POLLIN, 0}});
    for (const Visitor& one : visitors_) {
      ready.push_back({one.client.number(), wanted_events(one.inwards, one.outwards), 0});
      ready.push_back({one.server.number(), wanted_events(one.outwards, one.inwards), 0});
    }
    ::poll(ready.data(), ready.size(), visitors_.empty() ? -1 : 1000);
    relay_to_all();
    if (ready[1].revents != 0) admit();
  } while (ready[0].revents == 0);
}

void UnixDoor::relay_to_all() {
  const TimePoint now = Clock::now();
  for (auto it = visitors_.begin(); it != visitors_.end();) {
    it->inwards.move();
    it->outwards.move();
    if (!it->over(now)) {
      ++it;
      continue;
    }
    const std::lock_guard lock(mutex_);
    ports_.erase(it->port);
    it = visitors_.erase(it);
  }
}

void UnixDoor::admit() {
  Fd client(::accept4(listening_.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client) return;
  Fd server = connect_to_server();
  if (!server) return;
  const std::uint16_t port = local_address(server.number()).port();
  visitors_.push_back({.client = std::move(client),
                       .server = std::move(server),
                       .port = port,
                       .deadline = Clock::now() + kPatience});
}

/// came_through() knows the port before the server can see the connection: the socket is bound first,
/// connected then.
Fd UnixDoor::connect_to_server() {
  Fd server(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const Address any_port = Address::loopback(0);
  if (!server || ::bind(server.number(), any_port.data(), any_port.size_bytes()) != 0) return {};
  {
    const std::lock_guard lock(mutex_);
    ports_.insert(local_address(server.number()).port());
  }
  const Address target = Address::loopback(server_port_);
  if (::connect(server.number(), target.data(), target.size_bytes()) != 0 && errno != EINPROGRESS) {
    const std::lock_guard lock(mutex_);
    ports_.erase(local_address(server.number()).port());
    return {};
  }
  return server;
}

}  // namespace headgate
