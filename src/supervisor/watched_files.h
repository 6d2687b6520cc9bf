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

/// The file of a configuration (empty: there is none), and the files and directories that it includes.
struct ConfigFiles {
  std::string main;
  std::vector<std::string> include{};
};

/// Every file whose change calls for a reload: certificates, keys, CAs, revocation lists, staples, secrets,
/// and those of the configuration itself.
[[nodiscard]] WatchedFiles watched_files(const config::Config& config, const ConfigFiles& config_files);

}  // namespace headgate
