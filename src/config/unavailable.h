#pragma once

#include "config/map_reader.h"

namespace headgate::config {

/// Refuses each value that this version knows but cannot do, so that no setting is silently ignored.
void refuse_unavailable(const Reading& reading);

}  // namespace headgate::config
