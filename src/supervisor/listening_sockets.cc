#include "supervisor/listening_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "net/socket.h"

namespace headgate {
namespace {

Fd duplicate(const Fd& fd) {
  return Fd(::fcntl(fd.number(), F_DUPFD_CLOEXEC, 3));
}

bool client_speaks_first(const config::Listener& listener) {
  return !listener.starttls || !server_speaks_first(*listener.starttls);
}

/// Whether a second socket cannot be bound to this address, so that all workers accept from one: a unix
/// socket, and a TCP one that systemd made without `ReusePort=`.
bool is_one_for_all(const Address& bind, const Fd& socket) {
  if (bind.is_unix()) return true;
  int reuses = 0;
  socklen_t size = sizeof reuses;
  ::getsockopt(socket.number(), SOL_SOCKET, SO_REUSEPORT, &reuses, &size);
  return reuses == 0;
}

/// Whether a worker need not wake for a connection before its client has sent bytes. The backend of a plain
/// listener may speak first.
bool may_defer(const config::Listener& listener) {
  return (listener.tls.has_value() || listener.proxy_protocol.has_value()) && client_speaks_first(listener);
}

ListenOptions options_of(const config::Listener& listener) {
  return {.backlog = listener.backlog, .defer_accept = may_defer(listener)};
}

template <class Fits>
Fd take_first(std::vector<systemd::ActivatedSocket>& sockets, const Fits& fits) {
  const auto found = std::ranges::find_if(sockets, fits);
  if (found == sockets.end()) return Fd();
  Fd fd = std::move(found->fd);
  sockets.erase(found);
  return fd;
}

}  // namespace

Result<ListeningSockets::Plan> ListeningSockets::plan(const config::Config& config, std::size_t workers) {
  Plan plan;
  for (const auto& listener : config.listeners) {
    for (const auto& bind : listener.bind) {
      auto opened = open_missing(bind, listener, workers);
      if (!opened) return tl::unexpected(std::move(opened.error()));
      const Key key{listener.name, bind.text()};
      plan.opened[key] = *std::move(opened);
      plan.options[key] = options_of(listener);
    }
  }
  for (const auto& [key, fds] : sockets_) {
    if (!plan.opened.contains(key)) plan.closed.push_back(key);
  }
  return plan;
}

Result<std::vector<Fd>> ListeningSockets::open_missing(const Address& bind, const config::Listener& listener,
                                                       std::size_t workers) {
  const auto existing = sockets_.find({listener.name, bind.text()});
  const std::size_t have = existing != sockets_.end() ? existing->second.size() : 0;
  std::vector<Fd> opened(workers);
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
  if (have > 0 || shared != nullptr) return opened;
  // The process before had more workers.
  while (Fd fd = take_inherited(bind, listener.name)) opened.push_back(std::move(fd));
  return opened;
}

// A worker's duplicates may be closed at any time: the duplicates of this account keep the sockets themselves
// open.
ListeningSockets::Changes ListeningSockets::commit(Plan plan, std::size_t workers) {
  const bool others_accept = std::exchange(workers_, workers) != workers;
  Changes changes{.close = std::move(plan.closed), .listen = std::vector<std::vector<BoundSocket>>(workers)};
  for (const Key& key : changes.close) sockets_.erase(key);
  for (auto& [key, opened] : plan.opened) {
    auto& fds = sockets_[key];
    if (others_accept && !fds.empty()) changes.close.push_back(key);
    std::vector<bool> is_new(std::max(fds.size(), opened.size()), others_accept);
    fds.resize(is_new.size());
    for (std::size_t i = 0; i < opened.size(); ++i) {
      if (!opened[i]) continue;
      fds[i] = std::move(opened[i]);
      is_new[i] = true;
    }
    if (is_one_for_all(local_address(fds.front().number()), fds.front())) fds.resize(workers);
    for (std::size_t i = 0; i < fds.size(); ++i) {
      if (is_new[i]) changes.listen[i % workers].push_back({key.first, key.second, duplicate(fds[i])});
    }
  }
  options_ = std::move(plan.options);
  activated_.clear();
  return changes;
}

void ListeningSockets::apply_options() const {
  for (const auto& [key, fds] : sockets_) {
    const auto options = options_.find(key);
    if (options == options_.end()) continue;
    for (const Fd& fd : fds) set_listen_options(fd.number(), options->second);
  }
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
  return listen_on(address, options_of(listener));
}

// The search goes by name and address first: port 0, which the process before has had bound, may occur more
// than once.
Fd ListeningSockets::take_activated(const Address& bind, const std::string& listener) {
  if (Fd fd = take_inherited(bind, listener)) return fd;
  return take_first(activated_, [&](const auto& one) {
    return one.address == bind && (bind.is_unix() || bind.port() != 0);
  });
}

Fd ListeningSockets::take_inherited(const Address& bind, const std::string& listener) {
  return take_first(activated_, [&](const auto& one) { return one.address == bind && one.name == listener; });
}

}  // namespace headgate
