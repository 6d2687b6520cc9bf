#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/import.h"
#include "cli/import_directive.h"

/// Command lines of ghostunnel, as a shell script, a systemd unit, a Dockerfile or a manifest of containers
/// has them. import_ghostunnel() knows what the flags mean.
namespace headgate {

/// `ghostunnel server|client --flag VALUE...`.
struct GhostunnelCommand {
  int line = 0;  ///< Of "server" or "client".
  bool is_server = false;
  std::vector<Directive> flags;  ///< Each has the flag ("--listen") and its value, if it takes one.
};

/// The command lines of the file `text`. Names the text around them, the variables in them, and words that
/// are no flags.
[[nodiscard]] std::vector<GhostunnelCommand> ghostunnel_commands(std::string_view text, Imported& into);

}  // namespace headgate
