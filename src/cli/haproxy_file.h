#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// A haproxy.cfg as it is written: sections of lines of words. import_haproxy() knows what the words mean.
namespace headgate {

using Words = std::vector<std::string>;

/// The words of a line, without quotes, backslashes and the comment.
struct HaproxyLine {
  int number = 0;
  Words words;  ///< At least one.
};

enum class HaproxySectionKind { kGlobal, kDefaults, kFrontend, kBackend, kListen, kOther };

struct HaproxySection {
  HaproxySectionKind kind = HaproxySectionKind::kOther;
  int line = 0;
  std::string name;
  std::vector<HaproxyLine> lines;
};

/// The sections of the file `text`, in its order. Lines before the first section are left out.
[[nodiscard]] std::vector<HaproxySection> haproxy_sections(std::string_view text);

/// "30s", "5m", "500ms"; a bare number is milliseconds.
[[nodiscard]] std::optional<std::chrono::milliseconds> haproxy_time(std::string_view text);

/// The words of a line from `from` on, which are options with a value or flags, taken one by one. The words
/// outlive it.
class HaproxyOptions {
 public:
  HaproxyOptions(const Words& words, std::size_t from) : words_(words), at_(from) {}
  /// Whether there is another option; if so, `word` is set to it.
  [[nodiscard]] bool next(std::string& word) {
    if (at_ >= words_.size()) return false;
    word = words_[at_++];
    return true;
  }
  /// The value of the option that next() gave; empty at the end of the line.
  std::string value() { return at_ < words_.size() ? words_[at_++] : std::string(); }

 private:
  const Words& words_;
  std::size_t at_;
};

}  // namespace headgate
