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
  /// The keys whose new values wait for a restart.
  std::vector<std::string> for_restart{};
  /// "listener web added, backend app changed"; empty: only files differ, or no part does.
  [[nodiscard]] std::string text() const;
};
[[nodiscard]] ReloadChange change_between(const Snapshot& before, const Snapshot& now);
/// "a restart is needed for admin.bind and user"; empty: for nothing.
[[nodiscard]] std::string restart_notice(const ReloadChange& change);

/// The result of one reload.
struct ReloadOutcome {
  Outcome outcome{};                     ///< The answer for the caller that asked for the reload.
  std::optional<ReloadChange> change{};  ///< Present where the configuration is in force.

  [[nodiscard]] bool is_done() const { return outcome.verdict == Outcome::Verdict::kDone; }
  [[nodiscard]] bool is_in_force() const { return change.has_value(); }
  /// `kept` are the faults of files of which the contents before stay in use.
  [[nodiscard]] static ReloadOutcome done(ReloadChange change, std::vector<std::string> kept = {});
  /// An attempt that has changed nothing.
  [[nodiscard]] static ReloadOutcome failed(std::vector<std::string> faults);
  [[nodiscard]] static ReloadOutcome refused(std::string why);
};

}  // namespace headgate
