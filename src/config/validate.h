#pragma once

#include <string>

#include "config/config.h"
#include "config/fault.h"

namespace headgate::config {

/// Checks what one key cannot show: that names exist and are unique, and that keys do not contradict each
/// other. The notation of a key has checked its own value before. A key that has a fault already is not
/// checked again.
void validate(const Config& config, Faults& faults);

/// Checks one listener. `key` is its path: "listeners[0]".
void validate_listener(const Listener& listener, const std::string& key, const Config& config,
                       Faults& faults);

/// Whether `route` takes clients whatever name they ask for, and those that ask for none.
[[nodiscard]] bool is_any_name(const Route& route);

/// Whether `listener` passes every connection through, so that its `tls` needs no certificate.
[[nodiscard]] bool only_passes_through(const Listener& listener);

/// Checks a listener's `tls`.
void validate_tls(const Listener& listener, const std::string& key, Faults& faults);

/// Whether any rules of `tls` ask clients for certificates.
[[nodiscard]] bool asks_for_certificates(const Tls& tls);

/// A fault for each server that is a listener from which connections come back to where they were.
void check_loops(const Config& config, Faults& faults);

/// Checks one backend. `key` is its path: "backends.app".
void validate_backend(const Backend& backend, const std::string& key, Faults& faults);

}  // namespace headgate::config
