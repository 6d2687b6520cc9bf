#pragma once

#include <vector>

#include "cli/haproxy_file.h"
#include "cli/import.h"
#include "config/config.h"

namespace headgate {

/// The listeners of the `bind` lines of `proxy`, without names and without where they lead. Lines that differ
/// in the address alone become one listener.
[[nodiscard]] std::vector<config::Listener> haproxy_listeners(const HaproxyProxy& proxy,
                                                              const HaproxyGlobal& global, Imported& into);

}  // namespace headgate
