#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "supervisor/watched_files.h"

namespace headgate {

/// The files of `config` that this process may not read now, those of the configuration and the certificates
/// of directories among them. A start as root can read them before it drops its rights; every reload and
/// upgrade after that would fail on them.
[[nodiscard]] std::vector<std::string> unreadable_files(const config::Config& config,
                                                        const ConfigFiles& config_files);

/// The same for the `user` and `group` of `config`: a child of this process becomes them and looks. Nothing
/// where the process may not change its user, since `run` would not start then. Before threads are started.
/// Errors: those of drop_privileges(), and kSystem.
[[nodiscard]] Result<std::vector<std::string>> unreadable_after_start(const config::Config& config,
                                                                      const ConfigFiles& config_files);

/// The sentence for the operator about one of them.
[[nodiscard]] std::string consequence_of_unreadable(const config::Config& config, const std::string& file);

}  // namespace headgate
