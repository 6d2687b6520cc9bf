#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/units.h"
#include "worker/worker.h"

/// How a drain goes on in one worker. On the worker's thread.
namespace headgate {

/// Which connections a drain is about: those that are open when it begins and match what is set.
struct DrainScope {
  std::string listener{}, backend{};
  std::string peer{};  ///< An identity as the log shows it.
};

/// What remains of a drain.
struct DrainProgress {
  std::uint64_t remaining = 0;  ///< Connections.
  Duration oldest{};            ///< Age of the oldest of them.
  std::uint64_t bytes = 0;      ///< That they have moved since they were asked last.
};

/// Marks the connections of `scope` as draining by `drain`, a number that no other drain has. Returns how
/// many.
[[nodiscard]] std::uint64_t begin_drain(Worker& worker, std::uint32_t drain, const DrainScope& scope);
/// Ends those of `drain` that carry nothing at the moment until `keep` are left, and tells about the rest.
[[nodiscard]] DrainProgress continue_drain(Worker& worker, std::uint32_t drain, std::uint64_t keep);
/// Ends whatever is left of `drain`.
void finish_drain(Worker& worker, std::uint32_t drain);

}  // namespace headgate
