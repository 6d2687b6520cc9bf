#pragma once

#include <string>

#include "config/config.h"
#include "config/fault.h"

namespace headgate::config {

/// Checks what no key can know alone: that names exist and are unique, and that keys do not contradict each
/// other. What a key's own value must be is its notation's. A key that has a fault already is left alone.
void validate(const Config& config, Faults& faults);

/// The part about one listener. `key` is where it stands: "listeners[0]".
void validate_listener(const Listener& listener, const std::string& key, const Config& config,
                       Faults& faults);

/// The part about a listener's `tls`.
void validate_tls(const Listener& listener, const std::string& key, Faults& faults);

/// The part about one backend. `key` is where it stands: "backends.app".
void validate_backend(const Backend& backend, const std::string& key, Faults& faults);

}  // namespace headgate::config
