#include "worker/draining.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "worker/connection_walk.h"
#include "worker/worker.h"

namespace headgate {
namespace {

// A connection that has moved nothing for this long, and has nothing left to deliver, is between two
// requests.
constexpr Duration kQuiet = std::chrono::milliseconds(250);

bool matches(const Connection& connection, const DrainScope& scope) {
  const ConnectionInfo& info = connection.info();
  if (!scope.listener.empty() && connection.listener().policy->config.name != scope.listener) return false;
  if (!scope.backend.empty() && info.backend.view() != scope.backend) return false;
  return scope.peer.empty() || (info.peer && info.peer->short_name() == scope.peer);
}

bool is_at_rest(const Connection& connection, TimePoint now) {
  const auto* relay = std::get_if<Relay>(&connection.phase());
  return relay != nullptr && relay->last_byte <= now - kQuiet && connection.is_delivered();
}

std::uint64_t bytes_of(const Connection& connection) {
  return connection.info().bytes_from_client + connection.info().bytes_to_client;
}

}  // namespace

/// The work of one go_on().
struct Draining::Step {
  struct Part {
    std::uint64_t keep = 0;  // may be left
    bool is_over = false;    // its deadline has come
    DrainProgress found{};
    [[nodiscard]] bool has_too_many() const { return found.remaining > keep; }
  };

  [[nodiscard]] Part* find(std::uint32_t drain) {
    const auto found = parts.find(drain);
    return found == parts.end() ? nullptr : &found->second;
  }
  [[nodiscard]] bool has_too_many() const {
    return std::ranges::any_of(parts, [](const auto& one) { return one.second.has_too_many(); });
  }

  TimePoint now = Clock::now();
  std::map<std::uint32_t, Part> parts{};  // by drain
  std::function<void(const Progress&)> done{};
};

void Draining::begin(std::uint32_t drain, DrainScope scope, std::function<void(std::uint64_t)> done) {
  auto count = std::make_shared<std::uint64_t>(0);
  const auto mark = [drain, scope = std::move(scope), count](Connection& connection) {
    if (connection.drain_number == drain || !matches(connection, scope)) return std::size_t{0};
    connection.drain_bytes_told = bytes_of(connection);
    connection.drain_number = drain;
    ++*count;
    return std::size_t{0};
  };
  ++walks_;
  ConnectionWalk::begin(worker_, mark, [this, drain, count, done = std::move(done)] {
    --walks_;
    if (*count > 0) drains_[drain] = {.at_start = *count, .remaining = *count};
    done(*count);
  });
}

void Draining::go_on(const std::vector<DrainTarget>& targets, std::function<void(const Progress&)> done) {
  if (walks_ > 0) return;
  auto step = std::make_shared<Step>();
  step->done = std::move(done);
  bool any_left = false;
  for (const DrainTarget& target : targets) {
    const auto drain = drains_.find(target.drain);
    const bool has_any = drain != drains_.end();
    const double keep = has_any ? static_cast<double>(drain->second.at_start) * target.share + 0.5 : 0;
    step->parts[target.drain] = {.keep = static_cast<std::uint64_t>(keep), .is_over = target.share <= 0};
    any_left = any_left || has_any;
  }
  if (!any_left) return tell(*step);
  ++walks_;
  const auto look = [step](Connection& connection) { return count(*step, connection); };
  ConnectionWalk::begin(worker_, look, [this, step] { counted(step); });
}

// What is over ends right here.
std::size_t Draining::count(Step& step, Connection& connection) {
  Step::Part* part = step.find(connection.drain_number);
  if (part == nullptr) return 0;
  const std::uint64_t bytes = bytes_of(connection);
  part->found.bytes += bytes - std::exchange(connection.drain_bytes_told, bytes);
  if (part->is_over) connection.end(CloseReason::kDrained);
  if (!connection.is_buried()) {
    ++part->found.remaining;
    part->found.oldest = std::max(part->found.oldest, step.now - connection.info().accepted);
  }
  return part->is_over ? ConnectionWalk::kEndCost : 0;
}

// A connection that was looked at twice was counted twice, but a drain never grows.
void Draining::counted(const std::shared_ptr<Step>& step) {
  for (auto& [number, part] : step->parts) {
    const auto drain = drains_.find(number);
    const std::uint64_t before = drain == drains_.end() ? 0 : drain->second.remaining;
    part.found.remaining = std::min(part.found.remaining, before);
  }
  const auto end = [step](Connection& connection) { return end_if_at_rest(*step, connection); };
  const auto over = [this, step] {
    --walks_;
    tell(*step);
  };
  if (!step->has_too_many()) return over();
  ConnectionWalk::begin(worker_, end, over);
}

std::size_t Draining::end_if_at_rest(Step& step, Connection& connection) {
  Step::Part* part = step.find(connection.drain_number);
  if (part == nullptr || !part->has_too_many() || !is_at_rest(connection, step.now)) return 0;
  connection.end_at_rest(CloseReason::kDrained);
  if (connection.is_buried()) --part->found.remaining;
  return step.has_too_many() ? ConnectionWalk::kEndCost : ConnectionWalk::kEnough;
}

void Draining::tell(const Step& step) {
  Progress progress;
  for (const auto& [number, part] : step.parts) {
    progress[number] = part.found;
    const auto drain = drains_.find(number);
    if (drain == drains_.end()) continue;
    drain->second.remaining = part.found.remaining;
    if (part.found.remaining == 0) drains_.erase(drain);
  }
  step.done(progress);
}

}  // namespace headgate
