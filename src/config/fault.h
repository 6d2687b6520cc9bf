#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
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
};

/// Where each key stands in one file. A value.
class Places {
 public:
  explicit Places(std::string file = {}) : file_(std::move(file)) {}

  /// Remembers that the value of `key` stands at `position`.
  void place(const std::string& key, Position position) { positions_.insert_or_assign(key, position); }
  /// The place of `key`, or of the nearest key around it that has one.
  [[nodiscard]] Position position_of(std::string_view key) const;
  /// Whether the file has `key` itself.
  [[nodiscard]] bool has(std::string_view key) const { return positions_.contains(key); }
  /// Empty for a configuration that is not from a file.
  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  std::string file_;
  std::map<std::string, Position, std::less<>> positions_;
};

/// Collects the faults of one file. No fault carries a key that stands in the file: see base/secret_text.h.
class Faults {
 public:
  explicit Faults(std::string file) : places_(std::move(file)) {}

  /// Remembers that the value of `key` stands at `position`.
  void place(const std::string& key, Position position) { places_.place(key, position); }
  /// A fault at the place of `key`, or of the nearest key around it that has one.
  void add(const std::string& key, const std::string& what) { add_at(places_.position_of(key), key, what); }
  void add_at(Position position, const std::string& key, const std::string& what);
  void warn(const std::string& key, const std::string& what);
  /// Whether `key` or a key in it has a fault already, so that one mistake is not reported twice.
  [[nodiscard]] bool concern(std::string_view key) const;
  /// Everything collected, in the order of the file.
  [[nodiscard]] std::vector<Fault> take();
  [[nodiscard]] const Places& places() const { return places_; }

 private:
  Places places_;
  std::vector<Fault> faults_;
  std::set<std::string> faulty_keys_;  // of the faults that are not warnings
};

}  // namespace headgate::config
