#include "supervisor/listening_sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "net/socket.h"
#include "supervisor/foreign_addresses.h"
#include "supervisor/socket_file.h"

namespace headgate {
namespace {

Result<Fd> duplicate(const Fd& fd) {
  Fd copy(::fcntl(fd.number(), F_DUPFD_CLOEXEC, 3));
  if (!copy) return fail_errno("cannot duplicate a listening socket", errno);
  return copy;
}

bool client_speaks_first(const config::Listener& listener) {
  return !listener.starttls || !server_speaks_first(*listener.starttls);
}

bool is_set(const Fd& socket, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(socket.number(), level, option, &value, &size) == 0 && value != 0;
}

/// Whether a second socket cannot be bound to this address, so that all workers accept from one: a unix
/// socket, and a TCP one that systemd made without `ReusePort=`.
bool is_one_for_all(const Address& bind, const Fd& socket) {
  return bind.is_unix() || !is_set(socket, SOL_SOCKET, SO_REUSEPORT);
}

/// Whether two sockets that were to be bound to this address are at the same place.
bool is_one_place(const Address& bind) {
  return bind.is_unix() || bind.port() != 0;
}

/// Whether the socket takes the clients that the bind asks for. One that systemd made may take fewer
/// (BindIPv6Only=). The choice cannot be changed once the socket is bound.
bool fits(const config::Bind& bind, const Fd& socket) {
  if (bind.address.family() != AF_INET6) return true;
  const bool only_ipv6 =
      local_address(socket.number()).family() == AF_INET6 && is_set(socket, IPPROTO_IPV6, IPV6_V6ONLY);
  return only_ipv6 == bind.ipv6_only || (only_ipv6 && is_one_for_all(bind.address, socket));
}

/// Whether a worker need not wake for a connection before its client has sent bytes. The backend of a plain
/// listener may speak first.
bool may_defer(const config::Listener& listener) {
  return (listener.tls.has_value() || listener.proxy_protocol.has_value()) && client_speaks_first(listener);
}

Result<ListenOptions> options_of(const config::Listener& listener, const config::Bind& bind) {
  auto file = socket_file_of(bind);
  if (!file) return fail_in("cannot listen on " + bind.address.text(), file.error());
  return ListenOptions{.backlog = listener.backlog,
                       .defer_accept = may_defer(listener),
                       .ipv6_only = bind.ipv6_only,
                       .transparent = listener.transparent && !bind.address.is_unix(),
                       .file = *file};
}

/// Returns duplicates of the sockets that workers begin to listen on: of those that were opened, and of those
/// that are kept where others accept from them now. A worker's duplicates may be closed at any time: the
/// duplicates of the account keep the sockets themselves open. Errors: kSystem.
Result<std::vector<Fd>> to_hand_out(std::span<const Fd> opened, std::span<const Fd> kept,
                                    bool others_accept) {
  std::vector<Fd> handed(std::max(kept.size(), opened.size()));
  for (std::size_t i = 0; i < handed.size(); ++i) {
    const bool is_opened = i < opened.size() && opened[i];
    if (!is_opened && !others_accept) continue;
    auto copy = duplicate(is_opened ? opened[i] : kept[i]);
    if (!copy) return tl::unexpected(std::move(copy.error()));
    handed[i] = *std::move(copy);
  }
  return handed;
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

ListeningSockets::ListeningSockets(std::vector<systemd::ActivatedSocket> activated)
    : activated_(std::move(activated)) {
  for (const auto& one : activated_) ports_.insert(local_address(one.fd.number()).port());
}

Result<ListeningSockets::Plan> ListeningSockets::plan(const config::Config& config, std::size_t workers) {
  if (auto may = check_foreign_addresses(config); !may) return tl::unexpected(std::move(may.error()));
  Plan plan;
  if (config.admin && !activated_.empty()) admin_.all = take_activated_for_admin(*config.admin);
  if (config.admin_metrics && !activated_.empty())
    admin_.metrics = take_activated_for_admin(*config.admin_metrics);
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const config::Listener& listener = config.listeners[i];
    for (const auto& bind : listener.bind) {
      const std::string where = "listeners[" + std::to_string(i) + "].bind";
      if (auto planned = plan_bind(plan, listener, bind, workers); !planned)
        return fail_in(where, planned.error());
    }
  }
  for (const auto& [key, fds] : sockets_) {
    const bool is_closed = std::ranges::find(plan.closed, key) != plan.closed.end();
    if (!plan.opened.contains(key) && !is_closed) plan.closed.push_back(key);
  }
  return plan;
}

Result<void> ListeningSockets::plan_bind(Plan& plan, const config::Listener& listener,
                                         const config::Bind& bind, std::size_t workers) {
  auto options = options_of(listener, bind);
  if (!options) return tl::unexpected(std::move(options.error()));
  auto opened = open_missing(bind, listener.name, *options, workers);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  const Key key{listener.name, bind.address.text()};
  std::span<const Fd> kept;
  if (const auto before = find(bind, listener.name)) {
    const std::vector<Fd>& all = sockets_.at(*before);
    if (!fits(bind, all.front())) {
      plan.closed.push_back(*before);
    } else {
      kept = all;
      if (*before != key) plan.renamed[key] = *before;
    }
  }
  const bool others_accept = workers_.count != workers || plan.renamed.contains(key);
  auto handed = to_hand_out(*opened, kept, others_accept);
  if (!handed) return fail_in("cannot listen on " + bind.address.text(), handed.error());
  plan.handed[key] = *std::move(handed);
  plan.opened[key] = *std::move(opened);
  plan.options[key] = *options;
  return {};
}

// The search goes by the address alone last: port 0 may occur more than once.
std::optional<ListeningSockets::Key> ListeningSockets::find(const config::Bind& bind,
                                                            const std::string& listener) const {
  const std::string text = bind.address.text();
  const auto own = sockets_.find({listener, text});
  if (own != sockets_.end() && !own->second.empty()) return own->first;
  if (!is_one_place(bind.address)) return std::nullopt;
  const auto found = std::ranges::find_if(
      sockets_, [&](const auto& entry) { return entry.first.second == text && !entry.second.empty(); });
  return found == sockets_.end() ? std::nullopt : std::optional(found->first);
}

Result<std::vector<Fd>> ListeningSockets::open_missing(const config::Bind& bind, const std::string& listener,
                                                       const ListenOptions& options, std::size_t workers) {
  const auto found = find(bind, listener);
  const std::vector<Fd>* existing = found ? &sockets_.at(*found) : nullptr;
  const bool replaced = existing != nullptr && !fits(bind, existing->front());
  const std::size_t have = existing != nullptr && !replaced ? existing->size() : 0;
  std::vector<Fd> opened(workers);
  Address address = have > 0 ? local_address(existing->front().number()) : bind.address;
  if (replaced) address.set_port(local_address(existing->front().number()).port());
  const Fd* shared =
      have > 0 && is_one_for_all(bind.address, existing->front()) ? &existing->front() : nullptr;
  for (std::size_t i = have; i < workers; ++i) {
    auto fd = shared != nullptr ? duplicate(*shared) : open(bind, address, listener, options);
    if (!fd) return tl::unexpected(std::move(fd.error()));
    opened[i] = *std::move(fd);
    if (is_one_for_all(bind.address, opened[i])) shared = &opened[i];
    address = local_address(opened[i].number());  // port 0 has become a port: the same for every worker
  }
  if (have > 0 || shared != nullptr) return opened;
  // The process before had more workers.
  while (Fd fd = take_activated(bind, listener)) opened.push_back(std::move(fd));
  return opened;
}

ListeningSockets::Changes ListeningSockets::commit(Plan plan, const WorkerPlan& planned) {
  const std::size_t workers = planned.count;
  const bool others_accept = std::exchange(workers_, planned).count != workers;
  Changes changes{.gone = plan.closed,
                  .close = std::move(plan.closed),
                  .listen = std::vector<std::vector<BoundSocket>>(workers)};
  std::map<Key, std::vector<Fd>> kept;
  for (const auto& [key, before] : plan.renamed) {
    kept[key] = std::move(sockets_.at(before));
    std::erase(changes.gone, before);
  }
  for (const Key& key : changes.close) sockets_.erase(key);
  sockets_.merge(std::move(kept));
  for (auto& [key, opened] : plan.opened) {
    auto& fds = sockets_[key];
    if (others_accept && !fds.empty() && !plan.renamed.contains(key)) changes.close.push_back(key);
    auto& handed = plan.handed.at(key);
    fds.resize(handed.size());
    for (std::size_t i = 0; i < opened.size(); ++i) {
      if (opened[i]) fds[i] = std::move(opened[i]);
    }
    if (is_one_for_all(local_address(fds.front().number()), fds.front())) fds.resize(workers);
    for (std::size_t i = 0; i < fds.size(); ++i) {
      if (handed[i]) changes.listen[i % workers].push_back({key.first, key.second, std::move(handed[i])});
    }
  }
  options_ = std::move(plan.options);
  activated_.clear();
  return changes;
}

Result<void> ListeningSockets::change_files(const Plan& plan) const {
  std::vector<std::pair<Address, SocketFile>> changed;
  for (const auto& [key, options] : plan.options) {
    const auto renamed = plan.renamed.find(key);
    const auto found = sockets_.find(renamed == plan.renamed.end() ? key : renamed->second);
    if (found == sockets_.end() || found->second.empty() || options.file == SocketFile()) continue;
    const Address address = local_address(found->second.front().number());
    auto before = change_file(address, options.file);
    if (before) {
      changed.emplace_back(address, *before);
      continue;
    }
    for (const auto& [where, was] : changed) static_cast<void>(change_file(where, was));
    return tl::unexpected(std::move(before.error()));
  }
  return {};
}

void ListeningSockets::apply_all(Log& log) const {
  apply_options();
  for (const auto& [key, fds] : sockets_) {
    const auto options = options_.find(key);
    if (options == options_.end() || fds.empty() || options->second.file == SocketFile()) continue;
    const auto changed = change_file(local_address(fds.front().number()), options->second.file);
    if (!changed) log.error(changed.error().what);
  }
}

void ListeningSockets::apply_options() const {
  for (const auto& [key, fds] : sockets_) {
    const auto options = options_.find(key);
    if (options == options_.end()) continue;
    for (std::size_t i = 0; i < fds.size(); ++i) {
      set_listen_options(fds[i].number(), options->second);
      if (is_one_for_all(local_address(fds[i].number()), fds[i])) continue;
      set_incoming_cpu(fds[i].number(),
                       workers_.incoming ? workers_.cpu_of(i % workers_.count) : std::nullopt);
    }
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
    for (const auto& fd : fds) {
      auto copy = duplicate(fd);
      all.push_back({key.first, key.second, copy ? *std::move(copy) : Fd()});
    }
  }
  return all;
}

void ListeningSockets::close(const std::string& listener) {
  std::erase_if(sockets_, [&](const auto& entry) { return entry.first.first == listener; });
}

Result<Fd> ListeningSockets::open(const config::Bind& bind, const Address& address,
                                  const std::string& listener, const ListenOptions& options) {
  if (Fd activated = take_activated(bind, listener)) return activated;
  const bool may_be_shared = address.is_unix() || ports_.contains(address.port());
  auto opened = (may_be_shared ? Result<void>() : check_free(address, options)).and_then([&] {
    return listen_on(address, options);
  });
  if (opened && !address.is_unix()) ports_.insert(local_address(opened->number()).port());
  if (opened || !bind.ipv6_only) return opened;
  return fail(opened.error().kind,
              opened.error().what +
                  "; a socket of systemd's for it needs BindIPv6Only=ipv6-only, because of "
                  "`ipv6_only`");
}

// The search goes by name and address first: port 0, which the process before has had bound, may occur more
// than once.
Fd ListeningSockets::take_activated(const config::Bind& bind, const std::string& listener) {
  if (Fd fd = take_inherited(bind, listener)) return fd;
  return take_first(activated_, [&](const auto& one) {
    return one.address == bind.address && is_one_place(bind.address) && fits(bind, one.fd);
  });
}

// No listener binds the same address. The process before gives its own sockets no name, and that of
// admin.bind first.
ListeningSockets::Held ListeningSockets::take_activated_for_admin(const Address& bind) {
  config::Bind own;
  own.address = bind;
  if (Fd fd = take_inherited(own, "")) return {"", bind.text(), std::move(fd)};
  const auto found = std::ranges::find(activated_, bind, &systemd::ActivatedSocket::address);
  if (!is_one_place(bind) || found == activated_.end()) return {};
  Held held{found->name, bind.text(), std::move(found->fd)};
  activated_.erase(found);
  return held;
}

Fd ListeningSockets::take_inherited(const config::Bind& bind, const std::string& listener) {
  return take_first(activated_, [&](const auto& one) {
    return one.address == bind.address && one.name == listener && fits(bind, one.fd);
  });
}

}  // namespace headgate
