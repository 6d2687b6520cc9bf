#include "supervisor/listening_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "connection/starttls_protocol.h"
#include "net/socket.h"

namespace headgate {
namespace {

Fd duplicate(const Fd& fd) {
  return Fd(::fcntl(fd.number(), F_DUPFD_CLOEXEC, 3));
}

bool client_speaks_first(const config::Listener& listener) {
  return listener.starttls == config::Starttls::kNone ||
         !server_speaks_first(starttls_protocol(listener.starttls));
}

/// Whether a second socket cannot be bound beside this one, so that all workers accept from it: a unix
/// socket, and a TCP one that systemd made without `ReusePort=`.
bool is_one_for_all(const Address& bind, const Fd& socket) {
  if (bind.is_unix()) return true;
  int reuses = 0;
  socklen_t size = sizeof reuses;
  ::getsockopt(socket.number(), SOL_SOCKET, SO_REUSEPORT, &reuses, &size);
  return reuses == 0;
}

/// Whether an accepted connection has something to say before it is worth waking for. A plain listener's
/// backend may be the one that speaks first.
bool may_defer(const config::Listener& listener) {
  return (listener.tls.has_value() || listener.proxy_protocol.has_value()) && client_speaks_first(listener);
}

}  // namespace

Result<ListeningSockets::Plan> ListeningSockets::plan(const config::Config& config, std::size_t workers) {
  Plan plan;
  std::set<Key> wanted;
  for (const auto& listener : config.listeners) {
    for (const auto& bind : listener.bind) {
      const Key key{listener.name, bind.text()};
      wanted.insert(key);
      const auto existing = sockets_.find(key);
      const std::size_t have = existing != sockets_.end() ? existing->second.size() : 0;
      auto& opened = plan.opened[key];
      opened.resize(workers);
      Address address = have > 0 ? local_address(existing->second.front().number()) : bind;
      const Fd* shared =
          have > 0 && is_one_for_all(bind, existing->second.front()) ? &existing->second.front() : nullptr;
      for (std::size_t i = have; i < workers; ++i) {
        auto fd = shared != nullptr ? Result<Fd>(duplicate(*shared)) : open(bind, address, listener);
        if (!fd) return tl::unexpected(std::move(fd.error()));
        opened[i] = *std::move(fd);
        if (is_one_for_all(bind, opened[i])) shared = &opened[i];
        address = local_address(opened[i].number());  // port 0 has become a port: the same for every worker
      }
    }
  }
  for (const auto& [key, fds] : sockets_) {
    if (!wanted.contains(key)) plan.closed.push_back(key);
  }
  return plan;
}

std::vector<std::vector<BoundSocket>> ListeningSockets::commit(Plan plan, std::size_t workers) {
  std::vector<std::vector<BoundSocket>> to_add(workers);
  for (const auto& key : plan.closed) sockets_.erase(key);
  for (auto& [key, opened] : plan.opened) {
    auto& fds = sockets_[key];
    fds.resize(workers);
    for (std::size_t i = 0; i < workers; ++i) {
      if (!opened[i]) continue;
      fds[i] = std::move(opened[i]);
      to_add[i].push_back({key.first, key.second, duplicate(fds[i])});
    }
  }
  activated_.clear();
  return to_add;
}

std::vector<Address> ListeningSockets::addresses(const std::string& listener) const {
  std::vector<Address> all;
  for (const auto& [key, fds] : sockets_) {
    if (key.first == listener && !fds.empty()) all.push_back(local_address(fds.front().number()));
  }
  return all;
}

std::vector<ListeningSockets::Held> ListeningSockets::held() const {
  std::vector<Held> all;
  for (const auto& [key, fds] : sockets_) {
    for (const auto& fd : fds) all.push_back({key.first, key.second, duplicate(fd)});
  }
  return all;
}

void ListeningSockets::close(const std::string& listener) {
  std::erase_if(sockets_, [&](const auto& entry) { return entry.first.first == listener; });
}

Result<Fd> ListeningSockets::open(const Address& bind, const Address& address,
                                  const config::Listener& listener) {
  if (Fd activated = take_activated(bind, listener.name)) return activated;
  return listen_on(address, {.backlog = listener.backlog, .defer_accept = may_defer(listener)});
}

// By name and address first: port 0, which the process before has had bound, may be there more than once.
Fd ListeningSockets::take_activated(const Address& bind, const std::string& listener) {
  const auto take = [&](const auto& fits) {
    const auto found = std::ranges::find_if(activated_, fits);
    if (found == activated_.end()) return Fd();
    Fd fd = std::move(found->fd);
    activated_.erase(found);
    return fd;
  };
  if (Fd fd = take([&](const auto& one) { return one.address == bind && one.name == listener; })) return fd;
  return take([&](const auto& one) { return one.address == bind && (bind.is_unix() || bind.port() != 0); });
}

}  // namespace headgate
