#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/fault.h"

namespace headgate::config {

/// A configuration and its faults. With a fault that is not a warning, `config` must not be used.
struct Loaded {
  Config config;
  std::vector<Fault> faults;
  Places places;      ///< Of every key given; faults that are found later, in the files that it names, are
                      ///< reported with them.
  Sources sources{};  ///< Also where faults keep the rest from being read.
  std::vector<Fault> variables{};  ///< A note about each variable that stands in a value, and what it is.

  [[nodiscard]] bool usable() const;
};

/// Loads the file at `path`, and those that it includes. Relative paths in a file are relative to its
/// directory and become absolute. Variables of the environment that the file permits are put in. Finds every
/// fault, not only the first. Reads no other file: certificates are checked when they are loaded. Any thread.
[[nodiscard]] Loaded load_file(const std::string& path);

/// Loads what standard input holds, until its end. Its name in faults is "<stdin>", and relative paths in it
/// are relative to the working directory. Once, since a second call would find nothing.
[[nodiscard]] Loaded load_standard_input();

/// Loads `text`, and the files that it includes. `file` is its name in faults; relative paths are relative to
/// `base_directory`.
[[nodiscard]] Loaded load_text(std::string_view text, const std::string& file,
                               const std::string& base_directory);

}  // namespace headgate::config
