#pragma once

#include <string>

#include "config/config.h"

namespace headgate::config {

/// `config` as YAML with every key that has a value, defaults included. Loading it gives an equal Config. A
/// map whose absence has a meaning (`tls`, `proxy_protocol`, `health_check`) is left out if it is absent. Any
/// thread.
[[nodiscard]] std::string show(const Config& config);

/// `config` as YAML with the keys alone whose value is not the default. Loading it gives an equal Config. Any
/// thread.
[[nodiscard]] std::string show_changes(const Config& config);

}  // namespace headgate::config
