#pragma once

#include <string_view>

#include "config/map_reader.h"

namespace headgate::config {

/// Refuses each value that this version knows but cannot do, so that no setting is silently ignored.
void refuse_unavailable(const Reading& reading);

/// Why a key is refused that this version does not have, though plans or earlier versions do, by its path in
/// the list of keys. Empty for any other key.
[[nodiscard]] std::string_view reason_against(std::string_view pattern);

}  // namespace headgate::config
