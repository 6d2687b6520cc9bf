#include <chrono>
#include <iostream>

#include "cli/commands.h"
#include "config/load.h"
#include "snapshot/snapshot.h"
#include "snapshot/worker_snapshot.h"

namespace headgate {
namespace {

/// Makes the TLS contexts that a worker would make, because only then does OpenSSL refuse some lists of
/// ciphers and groups.
int check_contexts(std::shared_ptr<const Snapshot> snapshot) {
  auto library = LibraryContext::make();
  if (!library) {
    std::cout << library.error().what << '\n';
    return 1;
  }
  MetricsRegistry registry;
  const auto prepared = WorkerSnapshot::prepare(std::move(snapshot), 0, **library, nullptr, registry);
  if (!prepared) std::cout << prepared.error().what << '\n';
  return prepared ? 0 : 1;
}

}  // namespace

int check_command(const std::string& config) {
  const config::Loaded loaded = config::load_file(config);
  for (const auto& fault : loaded.faults) std::cout << fault.text() << '\n';
  if (!loaded.usable()) return kExitConfiguration;
  Diagnostics diagnostics;
  ServerDirectory directory;
  auto snapshot = Snapshot::build(loaded.config, nullptr, nullptr, directory,
                                  std::chrono::system_clock::now(), diagnostics, KeyLogs::kLookAt);
  for (const auto& diagnostic : diagnostics) std::cout << fault_of(diagnostic, loaded.places).text() << '\n';
  if (!snapshot || check_contexts(std::move(snapshot)) != 0) return kExitConfiguration;
  std::cout << config << ": ok\n";
  return kExitDone;
}

}  // namespace headgate
