#include "backend/health_check.h"

#include <poll.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

#include "backend/health.h"
#include "net/service_thread.h"

namespace headgate {
namespace {

/// The longest wait. A wake-up without work every so often costs nothing.
constexpr std::chrono::hours kLongestWait{1};

/// Up to a tenth of the interval earlier or later, so that checks that began together drift apart.
Duration jittered(std::chrono::milliseconds interval, std::minstd_rand& random) {
  const auto tenth = std::max<std::int64_t>(interval.count() / 10, 1);
  return interval +
         std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(-tenth, tenth)(random));
}

short poll_events(IoStatus status) {
  return status == IoStatus::kWantRead ? POLLIN : POLLOUT;
}

/// The checks of one server: waits for its time, then tries the server's addresses one after another until
/// one is well.
class Check {
 public:
  Check(std::shared_ptr<const BackendGroup> group, std::size_t index, Health health, TimePoint first,
        const OpenTls& open_tls)
      : group_(std::move(group)), index_(index), health_(health), due_(first), open_tls_(&open_tls) {}

  [[nodiscard]] const Server& server() const { return group_->servers[index_]; }
  [[nodiscard]] const Health& health() const { return health_; }
  [[nodiscard]] TimePoint due() const { return due_; }
  /// -1 between two checks.
  [[nodiscard]] int descriptor() const { return probe_ ? probe_->descriptor() : -1; }
  [[nodiscard]] short events() const { return events_; }

  /// Does what can be done now. Returns a change of health with its reason.
  std::optional<HealthChange> advance(TimePoint now, std::minstd_rand& random);

 private:
  [[nodiscard]] const config::HealthCheck& settings() const { return *group_->config.health_check; }
  void begin(TimePoint now, std::minstd_rand& random);
  void try_next_address(TimePoint now);
  std::optional<HealthChange> pass_over();
  std::optional<HealthChange> conclude(Health::Change change, std::string why);

  std::shared_ptr<const BackendGroup> group_;
  std::size_t index_;
  Health health_;
  TimePoint due_;  // of the next check, or of the end of the attempt under way
  const OpenTls* open_tls_;
  TimePoint next_check_{};
  std::shared_ptr<const ServerState::Addresses> addresses_;
  std::size_t next_address_ = 0;
  short events_ = 0;
  std::unique_ptr<Probe> probe_;
};

std::optional<HealthChange> Check::advance(TimePoint now, std::minstd_rand& random) {
  if (!probe_ && due_ > now) return std::nullopt;
  if (!probe_) begin(now, random);
  while (probe_) {
    const bool late = due_ <= now;
    const IoStatus status = late ? IoStatus::kFailed : probe_->advance();
    if (status == IoStatus::kDone) return conclude(health_.succeeded(), {});
    if (status == IoStatus::kWantRead || status == IoStatus::kWantWrite) {
      events_ = poll_events(status);
      return std::nullopt;
    }
    if (probe_->lacked_resources()) return pass_over();
    const std::string why = late ? "no answer in time" : probe_->why();
    if (next_address_ == addresses_->size()) return conclude(health_.failed(), why);
    try_next_address(now);
  }
  return std::nullopt;
}

/// Leaves probe_ empty when there is no address to check.
void Check::begin(TimePoint now, std::minstd_rand& random) {
  next_check_ = now + jittered(settings().interval, random);
  due_ = next_check_;
  addresses_ = server().state->addresses();
  next_address_ = 0;
  if (!addresses_->empty()) try_next_address(now);
}

void Check::try_next_address(TimePoint now) {
  due_ = now + settings().timeout;
  probe_ = std::make_unique<Probe>(*group_, server(), (*addresses_)[next_address_++].address, *open_tls_);
}

/// This check counts neither way.
std::optional<HealthChange> Check::pass_over() {
  probe_.reset();
  due_ = next_check_;
  return std::nullopt;
}

std::optional<HealthChange> Check::conclude(Health::Change change, std::string why) {
  probe_.reset();
  due_ = next_check_;
  if (change == Health::Change::kNone) return std::nullopt;
  server().state->set_condition({.up = health_.is_up(),
                                 .why = health_.is_up() ? std::string() : why,
                                 .since = std::chrono::system_clock::now()});
  if (change == Health::Change::kCameUp) server().state->set_back_since(Clock::now());
  return HealthChange{server().state, health_.is_up(), std::move(why)};
}

}  // namespace

/// The checks under way and the thread that runs them. What both threads touch is behind `mutex_`; the rest
/// belongs to the thread.
class HealthChecker::Checks {
 public:
  explicit Checks(Options options)
      : options_(std::move(options)), random_(static_cast<std::minstd_rand::result_type>(options_.seed)) {}

  Result<void> watch(std::vector<std::shared_ptr<const BackendGroup>> groups);

 private:
  using CheckList = std::map<std::shared_ptr<ServerState>, std::unique_ptr<Check>>;

  void run(ServiceThread& self);
  void take_wanted(TimePoint now);
  [[nodiscard]] std::unique_ptr<Check> make_check(const std::shared_ptr<const BackendGroup>& group,
                                                  std::size_t index, TimePoint now);
  void wait(ServiceThread& self);

  const Options options_;
  std::minstd_rand random_;

  std::mutex mutex_;
  std::vector<std::shared_ptr<const BackendGroup>> wanted_;
  bool wanted_changed_ = false;

  CheckList checks_;

  std::unique_ptr<ServiceThread> thread_;  // last: it stops before the members that it uses are destroyed
};

Result<void> HealthChecker::Checks::watch(std::vector<std::shared_ptr<const BackendGroup>> groups) {
  std::erase_if(groups, [](const auto& group) { return !group->config.health_check; });
  {
    const std::lock_guard lock(mutex_);
    wanted_ = std::move(groups);
    wanted_changed_ = true;
    if (wanted_.empty() && !thread_) return {};
  }
  if (thread_) {
    thread_->wake();
    return {};
  }
  auto thread = ServiceThread::start("hg-health", [this](ServiceThread& self) { run(self); });
  if (!thread) return tl::unexpected(thread.error());
  thread_ = *std::move(thread);
  return {};
}

void HealthChecker::Checks::run(ServiceThread& self) {
  while (!self.stopping()) {
    take_wanted(Clock::now());
    for (auto& [state, check] : checks_) {
      if (auto change = check->advance(Clock::now(), random_)) options_.on_change(*change);
    }
    wait(self);
  }
}

std::unique_ptr<Check> HealthChecker::Checks::make_check(const std::shared_ptr<const BackendGroup>& group,
                                                         std::size_t index, TimePoint now) {
  const config::HealthCheck& settings = *group->config.health_check;
  const auto known = checks_.find(group->servers[index].state);
  if (known != checks_.end()) {
    // Keeps the health and the time of the next check: reloads in quick succession must not delay it.
    const Check& before = *known->second;
    return std::make_unique<Check>(group, index, before.health().with_bounds(settings.rise, settings.fall),
                                   before.descriptor() >= 0 ? now : before.due(), options_.open_tls);
  }
  // The first checks spread over one interval.
  const auto offset = std::uniform_int_distribution<std::int64_t>(0, settings.interval.count())(random_);
  return std::make_unique<Check>(group, index, Health(settings.rise, settings.fall),
                                 now + std::chrono::milliseconds(offset), options_.open_tls);
}

void HealthChecker::Checks::take_wanted(TimePoint now) {
  std::vector<std::shared_ptr<const BackendGroup>> wanted;
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(wanted_changed_, false)) return;
    wanted = wanted_;
  }
  CheckList next;
  for (const auto& group : wanted) {
    for (std::size_t i = 0; i < group->servers.size(); ++i) {
      next[group->servers[i].state] = make_check(group, i, now);
    }
  }
  for (const auto& [state, check] : checks_) {
    if (next.contains(state) || state->is_up()) continue;
    state->set_condition({.up = true, .since = std::chrono::system_clock::now()});
  }
  checks_ = std::move(next);
}

void HealthChecker::Checks::wait(ServiceThread& self) {
  const TimePoint now = Clock::now();
  TimePoint until = now + kLongestWait;
  std::vector<pollfd> watched{{self.wake_descriptor(), POLLIN, 0}};
  for (const auto& [state, check] : checks_) {
    until = std::min(until, check->due());
    if (check->descriptor() >= 0) watched.push_back({check->descriptor(), check->events(), 0});
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
  const auto wait_ms = std::max<std::chrono::milliseconds::rep>(left.count(), 0);
  ::poll(watched.data(), watched.size(), static_cast<int>(wait_ms));
  if (watched.front().revents != 0) self.take_wake();
}

HealthChecker::HealthChecker(Options options) : checks_(std::make_unique<Checks>(std::move(options))) {}

HealthChecker::~HealthChecker() = default;

Result<void> HealthChecker::watch(std::vector<std::shared_ptr<const BackendGroup>> groups) {
  return checks_->watch(std::move(groups));
}

}  // namespace headgate
