#pragma once

#include "config/map_reader.h"

namespace headgate::config {

/// Refuses by name what this version knows but cannot do, so that nothing asked for is silently left out.
void refuse_unavailable(const Reading& reading);

}  // namespace headgate::config
