#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "cli/configuration.h"
#include "config/load.h"
#include "config/notation.h"
#include "snapshot/snapshot.h"
#include "snapshot/worker_snapshot.h"
#include "supervisor/privileges.h"
#include "supervisor/socket_file.h"
#include "supervisor/unreadable_files.h"

namespace headgate {
namespace {

/// Makes the TLS contexts that a worker would make, because only then does OpenSSL refuse some lists of
/// ciphers and groups.
int check_contexts(std::shared_ptr<const Snapshot> snapshot, const LibraryContext& library) {
  MetricsRegistry registry;
  const auto prepared = WorkerSnapshot::prepare(std::move(snapshot), 0, library, nullptr, registry);
  if (!prepared) std::cout << prepared.error().what << '\n';
  return prepared ? 0 : 1;
}

/// Only this system knows whether the user and the group exist.
Diagnostics look_for_identity(const config::Config& config) {
  Diagnostics found;
  if (auto user = check_user(config.user, !config.group.empty()); !user)
    found.push_back({Severity::kError, "", user.error().what, "user"});
  if (auto group = check_group(config.group); !group)
    found.push_back({Severity::kError, "", group.error().what, "group"});
  return found;
}

const char* key_of_identity(const config::Config& config) {
  return config.user.empty() ? "group" : "user";
}

/// A unit that starts Headgate as its own user runs this check as that user, too.
void look_for_rights(const config::Config& config, Diagnostics& found) {
  if (auto change = check_change(config.user, config.group); !change)
    found.push_back({Severity::kWarning, "", change.error().what, key_of_identity(config)});
}

/// A proxy for plain TCP is possible, but is seldom what its operator wants of Headgate.
void look_for_plain_text(const config::Config& config, Diagnostics& found) {
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const config::Listener& listener = config.listeners[i];
    if (listener.tls) continue;
    const std::string key = "listeners[" + std::to_string(i) + ']';
    const auto look = [&](const std::string& name, const std::string& where) {
      const auto backend = config.backends.find(name);
      if (backend == config.backends.end() || backend->second.tls) return;
      found.push_back({Severity::kWarning, "",
                       "nothing is encrypted between the clients and backend " + config::quote(name) +
                           ": give the listener or the backend \"tls\", unless that is meant",
                       where});
    };
    look(listener.backend, key + ".backend");
    for (std::size_t at = 0; at < listener.routes.size(); ++at)
      look(listener.routes[at].backend, key + ".routes[" + std::to_string(at) + "].backend");
  }
}

/// The process that runs is another user than the one that checks: root can read every file.
Diagnostics look_at_files_as_user(const config::Config& config, const ConfigFiles& config_files) {
  const char* key = key_of_identity(config);
  Diagnostics found;
  const auto files = unreadable_after_start(config, config_files);
  if (!files) found.push_back({Severity::kWarning, "", files.error().what, key});
  for (const auto& file : files.value_or(std::vector<std::string>()))
    found.push_back({Severity::kWarning, "", consequence_of_unreadable(config, file), key});
  return found;
}

bool is_within(std::string_view key, std::string_view around) {
  if (!key.starts_with(around)) return false;
  return key.size() == around.size() || around.empty() || key[around.size()] == '.' ||
         key[around.size()] == '[';
}

/// Whether a fault of the text concerns the same key, one in it or one around it: what is said of a file that
/// such a key names may not be so once the text is right.
bool is_explained(const Diagnostic& diagnostic, const std::vector<config::Fault>& faults) {
  return std::ranges::any_of(faults, [&](const config::Fault& fault) {
    return !fault.warning && (is_within(diagnostic.key, fault.key) || is_within(fault.key, diagnostic.key));
  });
}

void print_in_order(std::vector<config::Fault> faults, std::string_view first_file) {
  config::sort_by_place(faults, first_file);
  for (const auto& fault : faults) std::cout << fault.text() << '\n';
}

/// ", with 2 files that it includes"; empty where there is none.
std::string with_included(const config::Places& places) {
  const std::size_t count = places.files() - 1;
  if (count == 0) return {};
  return ", with " + std::to_string(count) + (count == 1 ? " file" : " files") + " that it includes";
}

}  // namespace

int check_command(const std::string& config) {
  const config::Loaded loaded = load_configuration(config);
  Diagnostics diagnostics = look_for_identity(loaded.config);
  const bool is_known = diagnostics.empty();
  if (loaded.usable() && is_known) {
    diagnostics = look_at_files_as_user(
        loaded.config, {.main = is_stdin(config) ? "" : config, .include = loaded.sources.include});
    look_for_rights(loaded.config, diagnostics);
  }
  if (loaded.usable()) look_for_plain_text(loaded.config, diagnostics);
  // Without a usable library every certificate would seem broken.
  const auto library = LibraryContext::make();
  if (!library) {
    print_in_order(loaded.faults, loaded.places.file());
    std::cout << library.error().what << '\n';
    return kExitConfiguration;
  }
  ServerDirectory directory;
  auto snapshot = Snapshot::build(loaded.config, {}, directory, std::chrono::system_clock::now(), diagnostics,
                                  KeyLogs::kLookAt);
  const Diagnostics owners = unknown_owners(loaded.config);
  diagnostics.insert(diagnostics.end(), owners.begin(), owners.end());
  std::vector<config::Fault> faults = loaded.faults;
  faults.insert(faults.end(), loaded.variables.begin(), loaded.variables.end());
  for (const auto& diagnostic : diagnostics) {
    if (!is_explained(diagnostic, loaded.faults)) faults.push_back(fault_of(diagnostic, loaded.places));
  }
  print_in_order(std::move(faults), loaded.places.file());
  if (!loaded.usable() || !is_known || !owners.empty()) return kExitConfiguration;
  if (!snapshot || check_contexts(std::move(snapshot), **library) != 0) return kExitConfiguration;
  std::cout << loaded.places.file() << ": ok" << with_included(loaded.places) << '\n';
  return kExitDone;
}

}  // namespace headgate
