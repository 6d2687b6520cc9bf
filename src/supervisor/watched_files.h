#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace headgate {

/// Every file and directory whose change calls for a reload: certificates, keys, CAs, revocation lists,
/// staples, secrets, and the configuration itself (`config_file`, unless empty).
[[nodiscard]] std::vector<std::string> watched_files(const config::Config& config,
                                                     const std::string& config_file);

}  // namespace headgate
