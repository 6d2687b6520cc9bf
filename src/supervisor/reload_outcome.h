#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "snapshot/snapshot.h"
#include "supervisor/requests.h"

/// What comes of a reload. Values; any thread.
namespace headgate {

/// What one part of the configuration has gained and lost, by name.
struct NamesChanged {
  std::vector<std::string> added{}, removed{};
  std::vector<std::string> changed{};  ///< Those whose keys differ; files that they name are not looked at.
  bool operator==(const NamesChanged&) const = default;
};

/// What a reload has changed.
struct ReloadChange {
  std::uint64_t generation = 0;  ///< Of the snapshot that is in force now.
  NamesChanged listeners{}, backends{};
  /// "listener web added, backend app changed"; empty: only files differ, or nothing does.
  [[nodiscard]] std::string text() const;
};
[[nodiscard]] ReloadChange change_between(const Snapshot& before, const Snapshot& now);

/// What came of one.
struct ReloadOutcome {
  Outcome outcome{};                     ///< What is told to whoever asked for the reload.
  std::optional<ReloadChange> change{};  ///< Where it is done.

  [[nodiscard]] bool is_done() const { return outcome.verdict == Outcome::Verdict::kDone; }
  [[nodiscard]] static ReloadOutcome done(ReloadChange change);
  /// Tried, and nothing was changed.
  [[nodiscard]] static ReloadOutcome failed(std::vector<std::string> faults);
  [[nodiscard]] static ReloadOutcome refused(std::string why);
};

/// An error for each listener whose files, under an unchanged configuration, no longer cover a name that is
/// served now: a renewal that lost a name is a mistake.
[[nodiscard]] std::vector<std::string> names_lost(const Snapshot& now, const Snapshot& next);

}  // namespace headgate
