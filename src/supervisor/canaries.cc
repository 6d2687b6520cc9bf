#include "supervisor/canaries.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace headgate {
namespace {

constexpr std::string_view kHeldBack =
    "a new certificate is held back: all handshakes get the old one until the file changes";

CanaryReport::Group group_of(const GroupCounts& counts) {
  return {.ok = counts.ok, .failed = counts.failed};
}

}  // namespace

std::vector<Canaries::One> Canaries::all_of(const Snapshot& snapshot) {
  std::vector<One> all;
  for (const auto& listener : snapshot.listeners) {
    if (!listener->tls) continue;
    const CertificateStore& store = *listener->tls->certificates;
    for (std::size_t i = 0; i < store.listed_size(); ++i) {
      const auto& canary = store.canary(i);
      if (canary == nullptr || canary->state() == CanaryState::kWentOn) continue;
      all.push_back({listener->config.name, std::string(store.in_file(i).file()), canary});
    }
  }
  return all;
}

void Canaries::follow(const Snapshot& snapshot) {
  const std::vector<One> before = std::exchange(all_, all_of(snapshot));
  for (const One& one : before) {
    if (one.canary->state() == CanaryState::kWentOn || std::ranges::find(all_, one) != all_.end()) continue;
    say(one, "superseded", LogLevel::kInfo, "a new certificate is no longer compared with the old one",
        "a reload brought another one or no longer asks for it");
  }
  for (const One& one : all_) {
    if (std::ranges::find(before, one) != before.end()) continue;
    if (one.canary->state() == CanaryState::kWentBack) {  // the process before has decided so
      say(one, "went_back", LogLevel::kError, kHeldBack, "the process before found more failures with it");
      continue;
    }
    say(one, "started", LogLevel::kInfo, "a new certificate goes to some handshakes first",
        "canary: " + std::to_string(one.canary->percent()) + "%");
  }
  publish();
}

bool Canaries::step(TimePoint now, WallTime wall_now) {
  if (all_.empty()) return false;
  bool settled = false;
  for (const One& one : all_) settled = settle(one, now, wall_now) || settled;
  std::erase_if(all_, [](const One& one) { return one.canary->state() == CanaryState::kWentOn; });
  publish();
  return settled;
}

bool Canaries::settle(const One& one, TimePoint now, WallTime wall_now) {
  const CanaryVerdict verdict = evaluate(*one.canary, now, wall_now);
  if (verdict.state == one.canary->state()) return false;
  one.canary->decide(verdict.state);
  if (verdict.state == CanaryState::kWentOn) {
    say(one, "went_on", LogLevel::kInfo, "a new certificate goes to all handshakes", verdict.why);
  } else {
    say(one, "went_back", LogLevel::kError, kHeldBack, verdict.why);
  }
  return true;
}

void Canaries::say(const One& one, std::string_view result, LogLevel level, std::string_view message,
                   std::string_view why) {
  const GroupCounts with_new = one.canary->with_new.counts(), with_old = one.canary->with_old.counts();
  const CanarySources::Counts sources = one.canary->sources().counts();
  log_.write(level, message,
             {{"listener", std::string_view(one.listener)},
              {"certificate", std::string_view(one.file)},
              {"why", why},
              {"new_ok", static_cast<std::int64_t>(with_new.ok)},
              {"new_failed", static_cast<std::int64_t>(with_new.failed)},
              {"old_ok", static_cast<std::int64_t>(with_old.ok)},
              {"old_failed", static_cast<std::int64_t>(with_old.failed)},
              {"new_sources_failed", static_cast<std::int64_t>(sources.with_new.failed)},
              {"old_sources_failed", static_cast<std::int64_t>(sources.with_old.failed)}});
  board_.update(
      [&](ProcessState& state) { ++state.canary_ends[{one.listener, one.file, std::string(result)}]; });
}

void Canaries::publish() {
  std::vector<CanaryReport> reports;
  for (const One& one : all_) {
    const CertificateCanary& canary = *one.canary;
    const CanarySources::Counts sources = canary.sources().counts();
    reports.push_back({.listener = one.listener,
                       .file = one.file,
                       .went_back = canary.state() == CanaryState::kWentBack,
                       .percent = canary.percent(),
                       .started = canary.began(),
                       .with_new = group_of(canary.with_new.counts()),
                       .with_old = group_of(canary.with_old.counts()),
                       .sources_with_new = group_of(sources.with_new),
                       .sources_with_old = group_of(sources.with_old)});
  }
  board_.update([&](ProcessState& state) { state.canaries = std::move(reports); });
}

}  // namespace headgate
