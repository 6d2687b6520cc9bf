#pragma once

#include <cstddef>
#include <string_view>

namespace headgate {

/// The length in bytes of the UTF-8 sequence that starts at `i` (RFC 3629, section 4); 0 when no valid one
/// starts there. `i` is below the size of `text`. Pure; any thread.
[[nodiscard]] std::size_t utf8_length(std::string_view text, std::size_t i);

}  // namespace headgate
