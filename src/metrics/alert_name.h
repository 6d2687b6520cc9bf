#pragma once

#include <cstdint>
#include <string>

namespace headgate {

/// The name of a TLS alert ("handshake_failure"; RFC 8446, section 6), "none" for 255 (kNoAlert), the number
/// in text for what has no name. Any thread.
[[nodiscard]] std::string alert_name(std::uint8_t alert);

inline constexpr std::uint8_t kNoAlert = 255;

}  // namespace headgate
