#include "supervisor/reload_outcome.h"

#include <map>
#include <utility>

#include "config/nearest.h"

namespace headgate {
namespace {

template <class Part>
NamesChanged changed(const std::map<std::string, const Part*>& before,
                     const std::map<std::string, const Part*>& now) {
  NamesChanged names;
  for (const auto& [name, part] : now) {
    const auto same = before.find(name);
    if (same == before.end()) {
      names.added.push_back(name);
    } else if (!(*same->second == *part)) {
      names.changed.push_back(name);
    }
  }
  for (const auto& [name, part] : before) {
    if (!now.contains(name)) names.removed.push_back(name);
  }
  return names;
}

std::map<std::string, const config::Listener*> listeners_of(const config::Config& config) {
  std::map<std::string, const config::Listener*> all;
  for (const auto& listener : config.listeners) all[listener.name] = &listener;
  return all;
}

std::map<std::string, const config::Backend*> backends_of(const config::Config& config) {
  std::map<std::string, const config::Backend*> all;
  for (const auto& [name, backend] : config.backends) all[name] = &backend;
  return all;
}

void add_text(std::string& text, const std::string& part, const NamesChanged& names) {
  const auto add = [&](const std::vector<std::string>& some, const char* what) {
    for (const auto& name : some) text += (text.empty() ? "" : ", ") + part + " " + name + " " + what;
  };
  add(names.added, "added");
  add(names.changed, "changed");
  add(names.removed, "removed");
}

}  // namespace

std::string ReloadChange::text() const {
  std::string text;
  add_text(text, "listener", listeners);
  add_text(text, "backend", backends);
  return text;
}

ReloadChange change_between(const Snapshot& before, const Snapshot& now) {
  return {.generation = now.generation,
          .listeners = changed(listeners_of(before.config), listeners_of(now.config)),
          .backends = changed(backends_of(before.config), backends_of(now.config))};
}

std::string restart_notice(const ReloadChange& change) {
  if (change.for_restart.empty()) return {};
  return "a restart is needed for " + config::enumeration(change.for_restart, "and");
}

ReloadOutcome ReloadOutcome::done(ReloadChange change, std::vector<std::string> kept) {
  const std::string notice = restart_notice(change);
  const std::string more = notice.empty() ? "" : "; " + notice;
  if (kept.empty()) return {{Outcome::Verdict::kDone, "reloaded" + more, {}}, std::move(change)};
  return {{Outcome::Verdict::kPartly,
           "reloaded, except for files that cannot be used; what they held before stays in use" + more,
           std::move(kept)},
          std::move(change)};
}

ReloadOutcome ReloadOutcome::failed(std::vector<std::string> faults) {
  return {{Outcome::Verdict::kFailed, "nothing was changed", std::move(faults)}, {}};
}

ReloadOutcome ReloadOutcome::refused(std::string why) {
  return {{Outcome::Verdict::kRefused, std::move(why), {}}, {}};
}

}  // namespace headgate
