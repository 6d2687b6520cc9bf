#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headgate::config {

/// A fault in a configuration, or a warning about it. A value.
struct Fault {
  std::string file;
  int line = 0;  ///< From 1; 0: the fault has no place.
  int column = 0;
  std::string key{};  ///< "listeners[0].tls.min_version".
  std::string what;   ///< What is wrong and what to write instead.
  bool warning = false;
  /// Of a warning: nothing that the operator wrote is the cause, so the log has it as information.
  bool note = false;

  /// "file:line:column: key: what"; without a place "file: key: what". A warning has "warning: " or
  /// "note: " in front of `what`.
  [[nodiscard]] std::string text() const;
  bool operator==(const Fault&) const = default;
};

/// A position in a file; line and column count from 1.
struct Position {
  int line = 0;
  int column = 0;
  std::uint32_t file = 0;  ///< Of the files of a configuration, by the number that Places gave it.
  auto operator<=>(const Position&) const = default;
};

/// Where each key stands in the files of a configuration. A value.
class Places {
 public:
  /// `file` has the number 0.
  explicit Places(std::string file = {}) : files_{std::move(file)} {}

  /// Returns the number of one more file.
  [[nodiscard]] std::uint32_t add_file(std::string file);
  /// Remembers that the value of `key` stands at `position`.
  void place(const std::string& key, Position position) { positions_.insert_or_assign(key, position); }
  /// Remembers for the messages about the value at `position` where it is from, as in "PORT is 8443".
  void explain(Position position, std::string origin) {
    origins_.insert_or_assign(position, std::move(origin));
  }
  /// The place of `key`, or of the nearest key around it that has one.
  [[nodiscard]] Position position_of(std::string_view key) const;
  /// Whether the files have `key` itself.
  [[nodiscard]] bool has(std::string_view key) const { return positions_.contains(key); }
  /// The first file. Empty for a configuration that is not from a file.
  [[nodiscard]] const std::string& file() const { return files_.front(); }
  [[nodiscard]] const std::string& file_of(Position position) const { return files_[position.file]; }
  /// The number of files.
  [[nodiscard]] std::size_t files() const { return files_.size(); }
  /// "file:line:column".
  [[nodiscard]] std::string text_of(Position position) const;
  /// `what` about the value at `position`, with its origin where explain() has told it.
  [[nodiscard]] std::string with_origin(Position position, std::string what) const;

 private:
  std::vector<std::string> files_;
  std::map<std::string, Position, std::less<>> positions_;
  std::map<Position, std::string> origins_;
};

/// Collects the faults of a configuration. No fault carries a key that stands in a file: see
/// base/secret_text.h.
class Faults {
 public:
  explicit Faults(std::string file) : places_(std::move(file)) {}

  [[nodiscard]] std::uint32_t add_file(std::string file) { return places_.add_file(std::move(file)); }
  /// Remembers that the value of `key` stands at `position`.
  void place(const std::string& key, Position position) { places_.place(key, position); }
  /// Remembers where the value at `position` is from: each of its faults says so.
  void explain(Position position, std::string origin) { places_.explain(position, std::move(origin)); }
  /// A fault at the place of `key`, or of the nearest key around it that has one.
  void add(const std::string& key, const std::string& what) { add_at(places_.position_of(key), key, what); }
  void add_at(Position position, const std::string& key, const std::string& what);
  void warn(const std::string& key, const std::string& what);
  /// Says that a file of the configuration could not be read, so that a name may be in it that no other has.
  void miss_a_file() { misses_a_file_ = true; }
  [[nodiscard]] bool misses_a_file() const { return misses_a_file_; }
  /// Whether `key` or a key in it has a fault already, so that one mistake is not reported twice.
  [[nodiscard]] bool concern(std::string_view key) const;
  /// " (file:line:column)", the place of `key`, behind a key that a fault names; empty while there is one
  /// file alone, whose keys need none.
  [[nodiscard]] std::string whereabouts(std::string_view key) const;
  /// Everything collected, in the order of the files: the first one, then the others by name.
  [[nodiscard]] std::vector<Fault> take();
  [[nodiscard]] const Places& places() const { return places_; }

 private:
  void collect(Position position, const std::string& key, const std::string& what, bool warning);

  Places places_;
  std::vector<Fault> faults_;
  std::set<std::string> faulty_keys_;  // of the faults that are not warnings
  bool misses_a_file_ = false;
};

/// Sorts `faults` by their places, those of the file `first` before all others.
void sort_by_place(std::vector<Fault>& faults, std::string_view first);

}  // namespace headgate::config
