#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/units.h"
#include "worker/worker.h"

/// The steps of a drain in one worker. On the worker's thread.
namespace headgate {

/// Selects the connections of a drain: those that are open when it begins and match the members that are set.
struct DrainScope {
  std::string listener{}, backend{};
  std::string peer{};  ///< An identity as the log shows it.
};

/// The state of a drain.
struct DrainProgress {
  std::uint64_t remaining = 0;  ///< Connections.
  Duration oldest{};            ///< Age of the oldest of them.
  std::uint64_t bytes = 0;      ///< Bytes that the connections have moved since the last question.
};

/// Marks the connections of `scope` as draining by `drain`, a number that no other drain has. Returns their
/// number.
[[nodiscard]] std::uint64_t begin_drain(Worker& worker, std::uint32_t drain, const DrainScope& scope);
/// Ends connections of `drain` that move nothing at the moment until `keep` are left, and reports on the
/// others.
[[nodiscard]] DrainProgress continue_drain(Worker& worker, std::uint32_t drain, std::uint64_t keep);
/// Ends all connections that are left of `drain`.
void finish_drain(Worker& worker, std::uint32_t drain);

}  // namespace headgate
