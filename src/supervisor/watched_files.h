#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "supervisor/file_watch.h"

namespace headgate {

/// The files that FileWatch has to watch.
struct WatchedFiles {
  std::vector<std::string> files;
  std::vector<FileWatch::Entries> entries;
};

/// Every file whose change calls for a reload: certificates, keys, CAs, revocation lists, staples, secrets,
/// and the configuration itself (`config_file`, unless empty).
[[nodiscard]] WatchedFiles watched_files(const config::Config& config, const std::string& config_file);

}  // namespace headgate
