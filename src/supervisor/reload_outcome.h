#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "snapshot/snapshot.h"
#include "supervisor/requests.h"

/// The results of a reload. Values; any thread.
namespace headgate {

/// The names that one part of the configuration has gained, lost and changed.
struct NamesChanged {
  std::vector<std::string> added{}, removed{};
  std::vector<std::string> changed{};  ///< Those whose keys differ; files that they name are not looked at.
  bool operator==(const NamesChanged&) const = default;
};

/// The changes by a reload.
struct ReloadChange {
  std::uint64_t generation = 0;  ///< Of the snapshot that is in force now.
  NamesChanged listeners{}, backends{};
  /// "listener web added, backend app changed"; empty: only files differ, or no part does.
  [[nodiscard]] std::string text() const;
};
[[nodiscard]] ReloadChange change_between(const Snapshot& before, const Snapshot& now);

/// The result of one reload.
struct ReloadOutcome {
  Outcome outcome{};                     ///< The answer for the caller that asked for the reload.
  std::optional<ReloadChange> change{};  ///< Present where the reload was done.

  [[nodiscard]] bool is_done() const { return outcome.verdict == Outcome::Verdict::kDone; }
  [[nodiscard]] static ReloadOutcome done(ReloadChange change);
  /// An attempt that has changed nothing.
  [[nodiscard]] static ReloadOutcome failed(std::vector<std::string> faults);
  [[nodiscard]] static ReloadOutcome refused(std::string why);
};

/// Makes an error for each listener whose files, under an unchanged configuration, no longer cover a name
/// that is served now: a renewal that lost a name is a mistake.
[[nodiscard]] std::vector<std::string> names_lost(const Snapshot& now, const Snapshot& next);

}  // namespace headgate
