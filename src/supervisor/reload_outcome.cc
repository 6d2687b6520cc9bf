#include "supervisor/reload_outcome.h"

#include <map>
#include <utility>

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

ReloadOutcome ReloadOutcome::done(ReloadChange change) {
  return {{Outcome::Verdict::kDone, "reloaded", {}}, std::move(change)};
}

ReloadOutcome ReloadOutcome::failed(std::vector<std::string> faults) {
  return {{Outcome::Verdict::kFailed, "nothing was changed", std::move(faults)}, {}};
}

ReloadOutcome ReloadOutcome::refused(std::string why) {
  return {{Outcome::Verdict::kRefused, std::move(why), {}}, {}};
}

std::vector<std::string> names_lost(const Snapshot& now, const Snapshot& next) {
  std::vector<std::string> errors;
  for (const auto& listener : next.listeners) {
    const ListenerPolicy* before = now.find_listener(listener->config.name);
    if (before == nullptr || !before->tls || !listener->tls) continue;
    const config::Tls &was = *before->config.tls, &is = *listener->config.tls;
    if (was.certificates != is.certificates || was.certificate_dirs != is.certificate_dirs) continue;
    if (!is.certificate_dirs.empty()) continue;  // a file taken out of a directory is meant to be gone
    for (const auto& name : listener->tls->certificates->names_lost_since(*before->tls->certificates)) {
      errors.push_back(
          "listener " + listener->config.name + ": the new certificates no longer cover " + name +
          ", which is served now; remove the certificate from the configuration if that is meant");
    }
  }
  return errors;
}

}  // namespace headgate
