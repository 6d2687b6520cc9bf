#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "config/config.h"

namespace headgate {

/// Names a listener or backend of `config` that uses addresses which are not this machine's: `transparent:
/// on` or `source: client`. Nothing: none does.
[[nodiscard]] std::optional<std::string> user_of_foreign_addresses(const config::Config& config);

/// Whether this process has the rights that the listeners and backends of `config` need for that. Errors:
/// kRefused, with the capability that it lacks; kSystem.
[[nodiscard]] Result<void> check_foreign_addresses(const config::Config& config);

}  // namespace headgate
