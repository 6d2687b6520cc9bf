#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/import.h"

namespace headgate {

/// A word of a command line.
struct ShellWord {
  std::string text;
  int line = 0;           ///< From 1.
  bool variable = false;  ///< A part of it stands for something else: "$X", "`date`", "%i".
};
/// A command, or the list of arguments of one.
using ShellWords = std::vector<ShellWord>;

/// The commands in a script, or in a part of a file that begins in `line`. `\` at the end of a line goes on
/// in the next one; ";", "&" and "|" end a command.
[[nodiscard]] std::vector<ShellWords> shell_commands(std::string_view text, int line);

/// What a file has: commands, and the lines that are none.
struct GhostunnelText {
  std::vector<ShellWords> commands;
  std::vector<ShellWords> others;  ///< A line is one word.
};

/// The commands of a systemd unit: ExecStart.
[[nodiscard]] GhostunnelText unit_commands(std::string_view text);
/// The lists of arguments in YAML, JSON or a Dockerfile.
[[nodiscard]] GhostunnelText container_commands(std::string_view text);

}  // namespace headgate
