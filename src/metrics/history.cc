#include "metrics/history.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace headgate {
namespace {

bool is_empty(const HistoryStep& step) {
  const auto is_zero = [](std::uint64_t count) { return count == 0; };
  return step.open == 0 && step.ends.empty() && std::ranges::all_of(step.handshakes, is_zero) &&
         std::ranges::all_of(step.bytes, is_zero);
}

/// A counter never goes back, but a gauge that is read in parts may seem to.
std::uint64_t increase(std::uint64_t before, std::uint64_t now) {
  return now > before ? now - before : 0;
}

}  // namespace

std::string_view name(HandshakeOutcome outcome) {
  constexpr std::array<std::string_view, kHandshakeOutcomeCount> kOutcomeNames{"full",    "resumed", "failed",
                                                                               "timeout", "shed",    "probe"};
  return kOutcomeNames[static_cast<std::size_t>(outcome)];
}

void History::Totals::add(const ListenerMetrics& metrics) {
  const auto count = [&](HandshakeOutcome outcome, std::uint64_t more) {
    handshakes[static_cast<std::size_t>(outcome)] += more;
  };
  const auto both = [&](HandshakeResult result) {
    const auto& by_resumed = metrics.handshakes[static_cast<std::size_t>(result)];
    return by_resumed[0].value() + by_resumed[1].value();
  };
  const auto& done = metrics.handshakes[static_cast<std::size_t>(HandshakeResult::kOk)];
  count(HandshakeOutcome::kFull, done[0].value());
  count(HandshakeOutcome::kResumed, done[1].value());
  count(HandshakeOutcome::kFailed, both(HandshakeResult::kFailed));
  count(HandshakeOutcome::kTimeout, both(HandshakeResult::kTimeout));
  count(HandshakeOutcome::kShed, both(HandshakeResult::kShed));
  count(HandshakeOutcome::kProbe, both(HandshakeResult::kProbe));
  for (std::size_t i = 0; i < kDirectionCount; ++i) bytes[i] += metrics.bytes[i].value();
  for (std::size_t i = 0; i < kCloseReasonCount; ++i) closed[i] += metrics.closed[i].value();
  open += metrics.active.value();
}

void History::Totals::add(const Totals& other) {
  for (std::size_t i = 0; i < kHandshakeOutcomeCount; ++i) handshakes[i] += other.handshakes[i];
  for (std::size_t i = 0; i < kDirectionCount; ++i) bytes[i] += other.bytes[i];
  for (std::size_t i = 0; i < kCloseReasonCount; ++i) closed[i] += other.closed[i];
  open += other.open;
}

std::map<std::string, History::Totals> History::totals() const {
  std::map<std::string, Totals> all;
  for (const auto& entry : registry_.listeners()) all[entry.listener].add(*entry.metrics);
  Totals sum;
  for (const auto& [listener, one] : all) sum.add(one);
  all[""] = sum;
  return all;
}

HistoryStep History::difference(const Totals& before, const Totals& now) {
  HistoryStep step;
  for (std::size_t i = 0; i < kHandshakeOutcomeCount; ++i)
    step.handshakes[i] = increase(before.handshakes[i], now.handshakes[i]);
  for (std::size_t i = 0; i < kDirectionCount; ++i) step.bytes[i] = increase(before.bytes[i], now.bytes[i]);
  for (std::size_t i = 0; i < kCloseReasonCount; ++i) {
    if (const auto ended = increase(before.closed[i], now.closed[i]); ended > 0)
      step.ends.emplace_back(static_cast<CloseReason>(i), ended);
  }
  std::ranges::stable_sort(step.ends, std::greater{}, &std::pair<CloseReason, std::uint64_t>::second);
  if (step.ends.size() > kEnds) step.ends.resize(kEnds);
  step.ends.shrink_to_fit();
  step.open = now.open;
  return step;
}

// A listener that a reload removed keeps its hour until another needs the place.
void History::begin_line(const std::string& listener, const Totals& totals) {
  if (lines_.size() > kListeners) {
    const auto unused = std::ranges::find_if(lines_, [](const auto& entry) {
      const auto& steps = entry.second.steps;
      return !entry.first.empty() && !steps.empty() && std::ranges::all_of(steps, is_empty);
    });
    if (unused == lines_.end()) return;
    lines_.erase(unused);
  }
  lines_.emplace(listener, Line{.before = totals});
}

void History::step(TimePoint now, WallTime wall) {
  if (stepped_ && now - *stepped_ < kStep) return;
  const Duration length = stepped_ ? now - *stepped_ : Duration{};
  stepped_ = now;
  const auto all = totals();
  const std::lock_guard lock(mutex_);
  for (const auto& [listener, totals] : all) {
    const auto line = lines_.find(listener);
    if (line == lines_.end()) {
      begin_line(listener, totals);
      continue;
    }
    auto& steps = line->second.steps;
    steps.push_back(difference(std::exchange(line->second.before, totals), totals));
    steps.back().ended = wall;
    steps.back().length = length;
    if (steps.size() > kSteps) steps.pop_front();
  }
}

std::optional<std::vector<HistoryStep>> History::steps(const std::string& listener) const {
  const std::lock_guard lock(mutex_);
  const auto found = lines_.find(listener);
  if (found == lines_.end())
    return listener.empty() ? std::optional<std::vector<HistoryStep>>{std::in_place} : std::nullopt;
  return std::vector<HistoryStep>(found->second.steps.begin(), found->second.steps.end());
}

}  // namespace headgate
