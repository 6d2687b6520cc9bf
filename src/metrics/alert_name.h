#pragma once

#include <cstdint>
#include <string>

namespace headgate {

/// Stands for a handshake without an alert. No alert has this number.
inline constexpr std::uint8_t kNoAlert = 255;
/// Stands for every alert without a name. No alert has this number.
inline constexpr std::uint8_t kOtherAlert = 254;

/// The name of a TLS alert ("handshake_failure"; RFC 8446, section 6), "none" for kNoAlert, "other" for
/// kOtherAlert, the number in text for an alert that has no name. Any thread.
[[nodiscard]] std::string alert_name(std::uint8_t alert);

/// `alert` where it has a name, else kOtherAlert: a bounded set, whatever number a client sends. Any thread.
[[nodiscard]] std::uint8_t named_alert(std::uint8_t alert);

}  // namespace headgate
