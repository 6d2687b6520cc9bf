#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/fault.h"

namespace headgate::config {

/// A configuration and what is wrong with it. With a fault that is no warning, `config` is not to be used.
struct Loaded {
  Config config;
  std::vector<Fault> faults;
  Places places;  ///< Of every key given: what is found wrong with a file later is told with them.

  [[nodiscard]] bool usable() const;
};

/// Loads the file at `path`, whose directory relative paths are relative to: they come out absolute. Every
/// fault is found, not only the first. Reads no other file: whether certificates exist is asked when they are
/// loaded. Any thread.
[[nodiscard]] Loaded load_file(const std::string& path);

/// Loads `text`. `file` is its name in faults; relative paths are relative to `base_directory`.
[[nodiscard]] Loaded load_text(std::string_view text, const std::string& file,
                               const std::string& base_directory);

}  // namespace headgate::config
