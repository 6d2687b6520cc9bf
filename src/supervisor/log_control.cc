#include "supervisor/log_control.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "config/notation.h"

namespace headgate {
namespace {

bool same_part(const LogOverride& a, const LogOverride& b) {
  return a.listener == b.listener && a.source == b.source;
}

std::string name_of(const LogOverride& one) {
  if (one.is_about_all()) return "all lines";
  return one.source ? "source " + one.source->text() : "listener " + one.listener;
}

std::string text(Duration time) {
  return config::duration_text(std::chrono::duration_cast<std::chrono::milliseconds>(time));
}

}  // namespace

// A reload sets the level of the process anew; levels of parts stay in force.
void LogControl::configure(LogLevel of_process) {
  configured_ = of_process;
  log_.set_level(of_process);
  std::erase_if(overrides_, [](const LogOverride& one) { return one.is_about_all(); });
}

Outcome LogControl::ask(const LogLevelRequest& request) {
  LogOverride wanted{.listener = request.listener};
  if (!request.source.empty()) {
    const auto network = Network::parse(request.source);
    if (!network) return {Outcome::Verdict::kNotFound, network.error().what, {}};
    wanted.source = *network;
  }
  if (!request.level) return reset(wanted);
  wanted.level = *request.level;
  std::erase_if(overrides_, [&](const LogOverride& one) { return same_part(one, wanted); });
  if (overrides_.size() >= kMost) {
    return {Outcome::Verdict::kRefused,
            "there are " + std::to_string(kMost) + " levels of single parts already; reset one",
            {}};
  }
  const bool for_good = wanted.is_about_all() && !request.time;
  const Duration time = request.time.value_or(kDefaultTime);
  if (wanted.is_about_all()) log_.set_level(wanted.level);
  if (!for_good) {
    wanted.until = Clock::now() + time;
    overrides_.push_back(wanted);
  }
  publish_(overrides_);
  return {Outcome::Verdict::kDone,
          "log level of " + name_of(wanted) + " is " + std::string(name(wanted.level)) +
              (for_good ? " until the next reload" : " for " + text(time)),
          {}};
}

// A request without a part resets every level to the configuration's.
Outcome LogControl::reset(const LogOverride& about) {
  if (about.is_about_all()) {
    overrides_.clear();
    log_.set_level(configured_);
    publish_(overrides_);
    return {
        Outcome::Verdict::kDone, "log level is " + std::string(name(configured_)) + ", of everything", {}};
  }
  const auto found = std::ranges::find_if(overrides_, [&](const auto& one) { return same_part(one, about); });
  if (found == overrides_.end())
    return {Outcome::Verdict::kNotFound, name_of(about) + " has no log level of its own", {}};
  overrides_.erase(found);
  publish_(overrides_);
  return {Outcome::Verdict::kDone, name_of(about) + " has the log level of the process", {}};
}

void LogControl::step(TimePoint now) {
  const auto is_over = [now](const LogOverride& one) { return one.until <= now; };
  std::vector<LogOverride> over;
  std::ranges::copy_if(overrides_, std::back_inserter(over), is_over);
  if (over.empty()) return;
  std::erase_if(overrides_, is_over);
  for (const LogOverride& one : over) end(one);
  publish_(overrides_);
}

void LogControl::end(const LogOverride& over) {
  if (over.is_about_all()) log_.set_level(configured_);
  log_.info("log level is as configured again", {{"of", name_of(over)}});
}

std::vector<LogOverrideReport> LogControl::reports() const {
  std::vector<LogOverrideReport> all;
  for (const LogOverride& one : overrides_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(one.until - Clock::now());
    all.push_back({.of = name_of(one), .level = std::string(name(one.level)), .left = left});
  }
  return all;
}

}  // namespace headgate
