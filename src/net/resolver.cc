#include "net/resolver.h"

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include <ares.h>

#include "net/service_records.h"
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
  std::vector<ResolvedAddress> addresses;
  seconds ttl = LookupSchedule::kMaxTtl;
};

std::optional<Address> address_of(const ares_addrinfo_node& node) {
  const bool ip = node.ai_family == AF_INET || node.ai_family == AF_INET6;
  const auto size_bytes = static_cast<std::size_t>(node.ai_addrlen);
  if (!ip || size_bytes > sizeof(sockaddr_storage)) return std::nullopt;
  sockaddr_storage storage{};
  std::memcpy(&storage, node.ai_addr, size_bytes);
  return Address::from_socket(storage, static_cast<socklen_t>(size_bytes));
}

/// Adds the addresses of a host, each once; `target` says where its service is. The time to live becomes the
/// shortest of all.
void add_addresses(const ares_addrinfo& info, const ServiceTarget& target, Answer& answer) {
  for (const ares_addrinfo_node* node = info.nodes; node != nullptr; node = node->ai_next) {
    auto address = address_of(*node);
    if (!address) continue;
    address->set_port(target.port);
    answer.ttl = std::min(answer.ttl, seconds(node->ai_ttl));
    const auto known = std::ranges::find(answer.addresses, *address, &ResolvedAddress::address);
    if (known == answer.addresses.end())
      answer.addresses.emplace_back(*address, target.priority, target.weight);
  }
}

/// Whether the name servers have said that there is nothing under the name, rather than nothing at all.
bool is_final(int status) {
  return status == ARES_ENOTFOUND || status == ARES_ENODATA;
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
    std::vector<ResolvedAddress> known;
    bool in_flight = false;
  };
  /// A lookup under way: of a host, or of a service and then of its targets.
  struct Lookup {
    std::string name;
    Answer answer;
    std::size_t pending = 0;         // queries
    int status = ARES_SUCCESS;       // of the last query that failed
    bool is_partly_unknown = false;  // the name servers did not answer for a target
    std::string why;                 // the SRV records are of no use
  };
  /// c-ares gives this back with the answer. queries_ owns it until then.
  struct Query {
    Lookups* lookups;
    std::shared_ptr<Lookup> lookup;
    ServiceTarget target{};
  };

  void run(ServiceThread& self);
  void take_wanted();
  void start_due(TimePoint now);
  void start(const std::string& name);
  void ask_for_service(const std::shared_ptr<Lookup>& lookup);
  void ask_for_host(const std::shared_ptr<Lookup>& lookup, ServiceTarget target);
  Query* keep(std::unique_ptr<Query> query);
  [[nodiscard]] std::unique_ptr<Query> take(void* query);
  void wait(ServiceThread& self, TimePoint now);
  [[nodiscard]] int wait_ms(TimePoint now);
  [[nodiscard]] bool open_channel();

  static void on_socket(void* self, ares_socket_t fd, int readable, int writable);
  static void on_service(void* query, int status, int timeouts, unsigned char* answer, int size_bytes);
  static void on_addresses(void* query, int status, int timeouts, ares_addrinfo* info);
  void take_service(const std::shared_ptr<Lookup>& lookup, std::span<const std::byte> answer);
  void finish(Lookup& lookup);
  void mark_answered(const std::string& name);

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
      start(host);
    } else {
      Lookup lookup;
      lookup.name = host;
      lookup.status = ARES_ENOTINITIALIZED;
      finish(lookup);
    }
  }
}

void Resolver::Lookups::start(const std::string& name) {
  names_[name].in_flight = true;
  auto lookup = std::make_shared<Lookup>();
  lookup->name = name;
  if (name.starts_with(kServicePrefix)) {
    ask_for_service(lookup);
  } else {
    ask_for_host(lookup, {.host = name});
  }
}

Resolver::Lookups::Query* Resolver::Lookups::keep(std::unique_ptr<Query> query) {
  ++query->lookup->pending;
  return queries_.insert(std::move(query)).first->get();
}

std::unique_ptr<Resolver::Lookups::Query> Resolver::Lookups::take(void* query) {
  const auto entry =
      std::ranges::find_if(queries_, [&](const auto& candidate) { return candidate.get() == query; });
  auto taken = std::move(queries_.extract(entry).value());
  --taken->lookup->pending;
  return taken;
}

void Resolver::Lookups::ask_for_service(const std::shared_ptr<Lookup>& lookup) {
  Query* query = keep(std::make_unique<Query>(Query{this, lookup}));
  ares_query(channel_.get(), lookup->name.c_str() + kServicePrefix.size(), ns_c_in, ns_t_srv,
             &Lookups::on_service, query);
}

void Resolver::Lookups::ask_for_host(const std::shared_ptr<Lookup>& lookup, ServiceTarget target) {
  Query* query = keep(std::make_unique<Query>(Query{this, lookup, std::move(target)}));
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ares_getaddrinfo(channel_.get(), query->target.host.c_str(), nullptr, &hints, &Lookups::on_addresses,
                   query);
}

void Resolver::Lookups::on_service(void* argument, int status, int, unsigned char* answer, int size_bytes) {
  Lookups* lookups = static_cast<Query*>(argument)->lookups;
  const auto query = lookups->take(argument);
  // The channel is being destroyed, or the process ends, so this is no answer.
  if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) return;
  query->lookup->status = status;
  if (status == ARES_SUCCESS) {
    const std::span bytes(answer, static_cast<std::size_t>(size_bytes));
    lookups->take_service(query->lookup, std::as_bytes(bytes));
  }
  if (query->lookup->pending == 0) lookups->finish(*query->lookup);
}

void Resolver::Lookups::take_service(const std::shared_ptr<Lookup>& lookup,
                                     std::span<const std::byte> answer) {
  const auto records = parse_service_records(answer);
  if (!records) {
    lookup->why = records.error().what;
    return;
  }
  lookup->answer.ttl = std::min(lookup->answer.ttl, records->ttl);
  // An answer may come at once, so each target counts before the first is looked up.
  ++lookup->pending;
  for (const ServiceTarget& target : records->targets) ask_for_host(lookup, target);
  --lookup->pending;
}

void Resolver::Lookups::on_addresses(void* argument, int status, int, ares_addrinfo* info) {
  const AddrinfoPtr owned(info);
  Lookups* lookups = static_cast<Query*>(argument)->lookups;
  const auto query = lookups->take(argument);
  if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) return;
  Lookup& lookup = *query->lookup;
  if (status == ARES_SUCCESS && info != nullptr) {
    add_addresses(*info, query->target, lookup.answer);
  } else {
    lookup.status = status;
    lookup.is_partly_unknown = lookup.is_partly_unknown || !is_final(status);
  }
  if (lookup.pending == 0) lookups->finish(lookup);
}

/// Where a part of a service is not known, the addresses known before stay, if there are some: a name server
/// that is slow for a while takes no target away.
void Resolver::Lookups::finish(Lookup& lookup) {
  const auto entry = names_.find(lookup.name);
  if (entry == names_.end()) return;
  Name& name = entry->second;
  name.in_flight = false;
  Answer& answer = lookup.answer;
  const bool keeps = lookup.is_partly_unknown && !name.known.empty();
  if (answer.addresses.empty() || keeps) {
    failed_since_open_ = true;
    name.due = Clock::now() + name.schedule.after_failure();
    std::string why =
        lookup.status == ARES_SUCCESS ? "the name has no address" : ares_strerror(lookup.status);
    if (!lookup.why.empty()) why = lookup.why;
    deliver_(lookup.name, fail(ErrorKind::kNotFound, "cannot resolve " + lookup.name + ": " + why));
  } else {
    name.due = Clock::now() + (lookup.is_partly_unknown ? name.schedule.after_failure()
                                                        : name.schedule.after_answer(answer.ttl));
    name.known = std::move(answer.addresses);
    deliver_(lookup.name, name.known);
  }
  mark_answered(lookup.name);
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
