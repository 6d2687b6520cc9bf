#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.h"

namespace headgate {

/// Keeps many equal failures from filling the log. For each (listener, reason) it lets the first lines of an
/// interval pass and counts the rest; the count is reported when the interval is over. One thread; each
/// worker has its own.
///
/// Both parts of the key come from bounded vocabularies (configured names, the table of close reasons), so
/// the memory is bounded too.
class FailureLimiter {
 public:
  struct Options {
    std::uint32_t lines = 10;  ///< How many pass in one interval.
    Duration interval = std::chrono::seconds(10);
  };
  /// How many lines were left out in an interval that is over.
  struct Summary {
    std::string listener, reason;
    std::uint64_t left_out = 0;
    Duration interval{};
    /// "812 more connections ended like this in 10 s; their lines were left out".
    [[nodiscard]] std::string text() const;
  };

  FailureLimiter() = default;
  explicit FailureLimiter(Options options) : options_(options) {}

  /// Whether a line for this failure may be written now; counts it if not. The interval of a key starts with
  /// its first failure.
  [[nodiscard]] bool admit(std::string_view listener, std::string_view reason, TimePoint now);

  /// Takes the summaries of the intervals that are over at `now`; an interval that left out no line has no
  /// summary.
  [[nodiscard]] std::vector<Summary> take_summaries(TimePoint now);

  /// Lines left out since the start.
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

 private:
  struct Window {
    TimePoint ends;
    std::uint32_t passed = 0;
    std::uint64_t left_out = 0;
  };
  using Reasons = std::map<std::string, Window, std::less<>>;

  Window& window(std::string_view listener, std::string_view reason);
  void open_window(std::string_view listener, std::string_view reason, Window& window, TimePoint now);

  Options options_;
  std::map<std::string, Reasons, std::less<>> windows_;
  std::vector<Summary> ended_;  // of windows that admit() found over since the last take_summaries()
  std::uint64_t left_out_ = 0;
};

}  // namespace headgate
