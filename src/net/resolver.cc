#include "net/resolver.h"

#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include <ares.h>

#include "net/service_thread.h"

namespace headgate {
namespace {

using std::chrono::seconds;

struct AddrinfoFreed {
  void operator()(ares_addrinfo* info) const { ares_freeaddrinfo(info); }
};
using AddrinfoPtr = std::unique_ptr<ares_addrinfo, AddrinfoFreed>;

struct ChannelDestroyed {
  void operator()(ares_channeldata* channel) const { ares_destroy(channel); }
};
using ChannelPtr = std::unique_ptr<ares_channeldata, ChannelDestroyed>;

/// c-ares keeps reference-counted state of the process; each Resolver holds one reference.
class AresLibrary {
 public:
  AresLibrary() : status_(ares_library_init(ARES_LIB_INIT_ALL)) {}
  ~AresLibrary() {
    if (status_ == ARES_SUCCESS) ares_library_cleanup();
  }
  AresLibrary(const AresLibrary&) = delete;
  AresLibrary& operator=(const AresLibrary&) = delete;
  [[nodiscard]] int status() const { return status_; }

 private:
  int status_;
};

struct Answer {
  std::vector<Address> addresses;
  seconds ttl{0};
};

std::optional<Address> address_of(const ares_addrinfo_node& node) {
  const bool ip = node.ai_family == AF_INET || node.ai_family == AF_INET6;
  const auto size_bytes = static_cast<std::size_t>(node.ai_addrlen);
  if (!ip || size_bytes > sizeof(sockaddr_storage)) return std::nullopt;
  sockaddr_storage storage{};
  std::memcpy(&storage, node.ai_addr, size_bytes);
  return Address::from_socket(storage, static_cast<socklen_t>(size_bytes));
}

/// The addresses, each once, and the shortest of their times to live.
Answer answer_of(const ares_addrinfo& info) {
  Answer answer;
  answer.ttl = LookupSchedule::kMaxTtl;
  for (const ares_addrinfo_node* node = info.nodes; node != nullptr; node = node->ai_next) {
    const auto address = address_of(*node);
    if (!address) continue;
    answer.ttl = std::min(answer.ttl, seconds(node->ai_ttl));
    if (std::find(answer.addresses.begin(), answer.addresses.end(), *address) == answer.addresses.end()) {
      answer.addresses.push_back(*address);
    }
  }
  return answer;
}

}  // namespace

Duration LookupSchedule::after_answer(seconds ttl) {
  retry_ = kFirstRetry;
  return std::clamp(ttl, kMinTtl, kMaxTtl);
}

Duration LookupSchedule::after_failure() {
  return std::exchange(retry_, std::min(2 * retry_, kLastRetry));
}

/// The names followed and the thread that looks them up. What both threads touch is behind `mutex_`; the rest
/// belongs to the thread.
class Resolver::Lookups {
 public:
  Lookups(Options options, Deliver deliver) : options_(std::move(options)), deliver_(std::move(deliver)) {}

  Result<void> follow(std::vector<std::string> hosts);
  [[nodiscard]] std::vector<std::string> unanswered();

 private:
  struct Name {
    LookupSchedule schedule;
    TimePoint due{};
    std::vector<Address> known;
    bool in_flight = false;
  };
  /// c-ares gives this back with the answer. queries_ owns it until then.
  struct Query {
    Lookups* lookups;
    std::string host;
  };

  void run(ServiceThread& self);
  void take_wanted();
  void start_due(TimePoint now);
  void start(const std::string& host, Name& name);
  void wait(ServiceThread& self, TimePoint now);
  [[nodiscard]] int wait_ms(TimePoint now);
  [[nodiscard]] bool open_channel();

  static void on_socket(void* self, ares_socket_t fd, int readable, int writable);
  static void on_addresses(void* query, int status, int timeouts, ares_addrinfo* info);
  void finish(const std::string& host, int status, const ares_addrinfo* info);
  void mark_answered(const std::string& host);

  const Options options_;
  const Deliver deliver_;
  const AresLibrary library_;

  std::mutex mutex_;
  std::set<std::string> wanted_;
  std::set<std::string> unanswered_;
  bool wanted_changed_ = false;

  std::map<std::string, Name> names_;
  std::set<std::unique_ptr<Query>> queries_;
  std::map<ares_socket_t, short> sockets_;  // and the poll(2) events wanted of each
  bool failed_since_open_ = false;
  ChannelPtr channel_;  // calls back into all of the above when it is destroyed

  std::unique_ptr<ServiceThread> thread_;  // last: it stops before the members that it uses are destroyed
};

Result<void> Resolver::Lookups::follow(std::vector<std::string> hosts) {
  {
    const std::lock_guard lock(mutex_);
    std::set<std::string> next(hosts.begin(), hosts.end());
    std::erase_if(unanswered_, [&](const std::string& host) { return !next.contains(host); });
    for (const std::string& host : next) {
      if (!wanted_.contains(host)) unanswered_.insert(host);
    }
    wanted_ = std::move(next);
    wanted_changed_ = true;
    if (wanted_.empty() && !thread_) return {};
  }
  if (thread_) {
    thread_->wake();
    return {};
  }
  auto thread = ServiceThread::start("hg-resolver", [this](ServiceThread& self) { run(self); });
  if (!thread) return tl::unexpected(thread.error());
  thread_ = *std::move(thread);
  return {};
}

std::vector<std::string> Resolver::Lookups::unanswered() {
  const std::lock_guard lock(mutex_);
  return {unanswered_.begin(), unanswered_.end()};
}

void Resolver::Lookups::run(ServiceThread& self) {
  while (!self.stopping()) {
    take_wanted();
    const TimePoint now = Clock::now();
    start_due(now);
    wait(self, now);
  }
  channel_.reset();
}

void Resolver::Lookups::take_wanted() {
  std::set<std::string> wanted;
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(wanted_changed_, false)) return;
    wanted = wanted_;
  }
  // The result of a lookup for a name that is no longer followed is dropped.
  std::erase_if(names_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  for (const std::string& host : wanted) {
    Name& name = names_[host];
    if (!name.known.empty()) deliver_(host, name.known);
  }
}

bool Resolver::Lookups::open_channel() {
  // A channel reads /etc/resolv.conf once, when it is made. After a failure a new one is made, because the
  // network and that file may have changed.
  if (channel_ && (!failed_since_open_ || !queries_.empty())) return true;
  channel_.reset();
  sockets_.clear();
  failed_since_open_ = false;
  ares_options options{};
  options.timeout = static_cast<int>(options_.query_timeout.count());
  options.tries = options_.tries;
  options.sock_state_cb = &Lookups::on_socket;
  options.sock_state_cb_data = this;
  ares_channel opened = nullptr;
  if (ares_init_options(&opened, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) !=
      ARES_SUCCESS) {
    return false;
  }
  channel_.reset(opened);
  return options_.name_servers.empty() ||
         ares_set_servers_ports_csv(opened, options_.name_servers.c_str()) == ARES_SUCCESS;
}

void Resolver::Lookups::start_due(TimePoint now) {
  std::vector<std::string> due;
  for (const auto& [host, name] : names_) {
    if (!name.in_flight && name.due <= now) due.push_back(host);
  }
  if (due.empty()) return;
  const bool usable = library_.status() == ARES_SUCCESS && open_channel();
  for (const std::string& host : due) {
    if (usable) {
      start(host, names_[host]);
    } else {
      finish(host, ARES_ENOTINITIALIZED, nullptr);
    }
  }
}

void Resolver::Lookups::start(const std::string& host, Name& name) {
  name.in_flight = true;
  auto query = std::make_unique<Query>(Query{this, host});
  Query* argument = query.get();
  queries_.insert(std::move(query));
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ares_getaddrinfo(channel_.get(), host.c_str(), nullptr, &hints, &Lookups::on_addresses, argument);
}

void Resolver::Lookups::on_addresses(void* argument, int status, int, ares_addrinfo* info) {
  const AddrinfoPtr owned(info);
  auto* query = static_cast<Query*>(argument);
  Lookups* lookups = query->lookups;
  const auto entry = std::find_if(lookups->queries_.begin(), lookups->queries_.end(),
                                  [&](const auto& candidate) { return candidate.get() == query; });
  const std::string host = query->host;
  lookups->queries_.erase(entry);
  // The channel is being destroyed, or the process ends, so this is no answer.
  if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) return;
  lookups->finish(host, status, info);
}

void Resolver::Lookups::finish(const std::string& host, int status, const ares_addrinfo* info) {
  const auto entry = names_.find(host);
  if (entry == names_.end()) return;
  Name& name = entry->second;
  name.in_flight = false;
  Answer answer = status == ARES_SUCCESS && info != nullptr ? answer_of(*info) : Answer{};
  if (answer.addresses.empty()) {
    failed_since_open_ = true;
    name.due = Clock::now() + name.schedule.after_failure();
    const char* why = status == ARES_SUCCESS ? "the name has no address" : ares_strerror(status);
    deliver_(host, fail(ErrorKind::kNotFound, "cannot resolve " + host + ": " + why));
  } else {
    name.due = Clock::now() + name.schedule.after_answer(answer.ttl);
    name.known = std::move(answer.addresses);
    deliver_(host, name.known);
  }
  mark_answered(host);
}

void Resolver::Lookups::mark_answered(const std::string& host) {
  {
    const std::lock_guard lock(mutex_);
    if (unanswered_.erase(host) == 0 || !unanswered_.empty()) return;
  }
  options_.on_first_answers();
}

void Resolver::Lookups::on_socket(void* self, ares_socket_t fd, int readable, int writable) {
  auto& sockets = static_cast<Lookups*>(self)->sockets_;
  const int events = (readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0);
  if (events == 0) {
    sockets.erase(fd);
  } else {
    sockets[fd] = static_cast<short>(events);
  }
}

int Resolver::Lookups::wait_ms(TimePoint now) {
  // Bounds the arithmetic. One needless wake-up an hour costs nothing.
  TimePoint until = now + std::chrono::hours(1);
  for (const auto& [host, name] : names_) {
    if (!name.in_flight) until = std::min(until, name.due);
  }
  timeval room{};
  if (channel_) {
    if (const timeval* next = ares_timeout(channel_.get(), nullptr, &room)) {
      until = std::min(until, now + seconds(next->tv_sec) + std::chrono::microseconds(next->tv_usec));
    }
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
  return static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0));
}

void Resolver::Lookups::wait(ServiceThread& self, TimePoint now) {
  std::vector<pollfd> watched{{self.wake_descriptor(), POLLIN, 0}};
  for (const auto& [fd, events] : sockets_) watched.push_back({fd, events, 0});
  ::poll(watched.data(), watched.size(), wait_ms(now));
  if (watched.front().revents != 0) self.take_wake();
  if (!channel_) return;
  constexpr int kReadable = POLLIN | POLLERR | POLLHUP;
  constexpr int kWritable = POLLOUT | POLLERR | POLLHUP;
  for (std::size_t i = 1; i < watched.size(); ++i) {
    const int ready = watched[i].revents;
    ares_process_fd(channel_.get(), (ready & kReadable) != 0 ? watched[i].fd : ARES_SOCKET_BAD,
                    (ready & kWritable) != 0 ? watched[i].fd : ARES_SOCKET_BAD);
  }
  // Timeouts are checked whatever was ready.
  ares_process_fd(channel_.get(), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

Resolver::Resolver(Options options, Deliver deliver)
    : lookups_(std::make_unique<Lookups>(std::move(options), std::move(deliver))) {}

Resolver::~Resolver() = default;

Result<void> Resolver::follow(std::vector<std::string> hosts) {
  return lookups_->follow(std::move(hosts));
}

std::vector<std::string> Resolver::unanswered() const {
  return lookups_->unanswered();
}

}  // namespace headgate
