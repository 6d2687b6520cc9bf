#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace headgate {

/// The fault of a command line that `root` has just parsed, in lines for stderr: which word means nothing and
/// which one may have been meant, or else what is missing, and how to get help. Empty if there is none: then
/// `error` asks for help or for the version. No line carries a key that stands in the command line.
[[nodiscard]] std::string fault_of_command_line(const CLI::App& root, const CLI::ParseError& error);

}  // namespace headgate
