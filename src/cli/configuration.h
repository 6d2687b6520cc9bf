#pragma once

#include <string_view>

#include "config/load.h"

namespace headgate {

/// Whether the command line means standard input by the name of a configuration.
[[nodiscard]] constexpr bool is_stdin(std::string_view file) {
  return file == "-";
}

/// Loads the configuration that the command line names: a file, or standard input. For commands that read it
/// once.
[[nodiscard]] inline config::Loaded load_configuration(const std::string& file) {
  return is_stdin(file) ? config::load_standard_input() : config::load_file(file);
}

}  // namespace headgate
