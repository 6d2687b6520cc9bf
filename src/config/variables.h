#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/names.h"

/// Variables of the process's environment in the values of a configuration: "${PORT}", "${PORT:-8443}".
namespace headgate::config {

/// A name, or the beginning of names with "*" behind it. None that tells of a secret.
[[nodiscard]] Result<std::string> check_variable_pattern(std::string_view text);
inline constexpr CheckedText kVariablePattern{"variable_pattern", check_variable_pattern};

/// A variable whose value, or whose default, stands in a value of the configuration.
struct PutIn {
  std::string name;
  std::string value;
  bool is_default = false;  ///< The variable is not set, or it is empty.

  /// "PORT of the environment is \"8443\"". A key is not shown.
  [[nodiscard]] std::string text() const;
};

/// Whether a value may be shown wherever the configuration is.
enum class Showing { kShown, kMayBeSecret };

/// Puts variables into values. A value that was put in is text of that one scalar: nothing in it has a
/// meaning to YAML or to this class. One for each load of a configuration; reads the environment of the
/// process, which nothing changes once threads run.
class Variables {
 public:
  /// The most bytes that all variables put in.
  static constexpr std::size_t kMostBytes = 1024 * 1024;

  /// `allowed` are the names that values may have, as kVariablePattern reads them.
  explicit Variables(std::vector<std::string> allowed) : allowed_(std::move(allowed)) {}

  /// A value with its variables put in, and which they are.
  struct Value {
    std::string text;
    std::vector<PutIn> variables;
  };
  /// `text` with the value of each variable in it, and "$" for each "$$". A "$" before another character than
  /// "{" and "$" is itself. Errors, kInvalid, each with the variable's name: it is not set and has no
  /// default, it is not allowed, it holds a secret, or its value cannot be text of a configuration.
  [[nodiscard]] Result<Value> put_in(std::string_view text, Showing showing);

 private:
  [[nodiscard]] Result<PutIn> evaluate(std::string_view expression) const;
  [[nodiscard]] bool is_allowed(std::string_view name) const;

  std::vector<std::string> allowed_;
  std::size_t spent_bytes_ = 0;
};

}  // namespace headgate::config
