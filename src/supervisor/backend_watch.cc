#include "supervisor/backend_watch.h"

#include <random>
#include <utility>

#include "supervisor/log_report.h"

namespace headgate {

Result<std::unique_ptr<BackendWatch>> BackendWatch::make(Loop& loop, Inbox& inbox, ServerDirectory& directory,
                                                         Log& log, Options options) {
  auto health_tls = HealthTls::make();
  if (!health_tls) return tl::unexpected(std::move(health_tls.error()));
  return std::unique_ptr<BackendWatch>(
      new BackendWatch(loop, inbox, directory, log, std::move(options), *std::move(health_tls)));
}

// The two threads call functions that use members of this object. The threads are members themselves, and end
// before the members that they use.
BackendWatch::BackendWatch(Loop& loop, Inbox& inbox, ServerDirectory& directory, Log& log, Options options,
                           std::unique_ptr<HealthTls> health_tls)
    : directory_(directory),
      log_(log),
      patience_(options.patience),
      patience_timer_(loop, this,
                      Timer::Calls<[](void* self) { static_cast<BackendWatch*>(self)->look(); }>()),
      health_tls_(std::move(health_tls)),
      health_({.open_tls = [&tls = *health_tls_](
                               const BackendGroup& group, const Server& server,
                               Fd connected) { return tls.open(group, server, std::move(connected)); },
               .on_change = [&log](const HealthChange& change) { log_health(change, log); },
               .seed = std::random_device()()}),
      resolver_(with_answers_told(std::move(options.names), inbox),
                [&directory, &log](const std::string& name, const Resolver::Found& found) {
                  if (found) return directory.publish(name, *found);
                  log.warn("a backend's name does not resolve",
                           {{"host", name}, {"error", found.error().what}});
                }) {}

Resolver::Options BackendWatch::with_answers_told(Resolver::Options options, Inbox& inbox) {
  options.on_first_answers = [&inbox, answered = lifeline_.guard([this] { look(); })] {
    inbox.post(answered);
  };
  return options;
}

void BackendWatch::follow(const std::shared_ptr<const Snapshot>& snapshot, std::function<void()> known) {
  if (auto followed = resolver_.follow(directory_.names_to_resolve()); !followed)
    log_.error(followed.error().what);
  health_tls_->follow(snapshot);
  std::vector<std::shared_ptr<const BackendGroup>> groups;
  for (const auto& [name, backend] : snapshot->backends) groups.push_back(backend.group);
  if (auto watching = health_.watch(std::move(groups)); !watching) log_.error(watching.error().what);
  waiting_.push_back({Clock::now() + patience_, std::move(known)});
  look();
}

// The callers that are told may follow other backends at once.
void BackendWatch::look() {
  const std::vector<std::string> unanswered = resolver_.unanswered();
  const TimePoint now = Clock::now();
  std::vector<Waiting> told;
  while (!waiting_.empty() && (unanswered.empty() || waiting_.front().until <= now)) {
    told.push_back(std::move(waiting_.front()));
    waiting_.erase(waiting_.begin());
  }
  patience_timer_.set(waiting_.empty() ? TimePoint::max() : waiting_.front().until);
  if (!unanswered.empty() && !told.empty()) {
    std::string hosts;
    for (const std::string& host : unanswered) hosts += (hosts.empty() ? "" : ", ") + host;
    log_.warn("some backends' names are not resolved yet: their connections are refused until they are",
              {{"hosts", std::string_view(hosts)}});
  }
  for (const Waiting& one : told) one.known();
}

}  // namespace headgate
