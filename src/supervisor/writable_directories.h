#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace headgate {

/// Returns the directories that the process writes to: those of sockets, of key logs and of `log_file`
/// (empty: no file).
[[nodiscard]] std::vector<std::string> writable_directories(const config::Config& config,
                                                            const std::string& log_file);

}  // namespace headgate
