#pragma once

#include <cstdint>
#include <string_view>

namespace headgate {

/// A level includes those before it.
enum class LogLevel : std::uint8_t { kError, kWarn, kInfo, kDebug };
/// "error", "warn", "info" or "debug".
[[nodiscard]] std::string_view name(LogLevel level);

enum class LogFormat : std::uint8_t { kText, kJson };

}  // namespace headgate
