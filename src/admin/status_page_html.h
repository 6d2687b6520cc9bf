#pragma once

#include <string_view>

namespace headgate {

/// src/admin/status_page.html, which cmake/status_page.cmake puts into the program. The nonce replaces
/// `__NONCE__`.
extern const std::string_view kStatusPageHtml;

}  // namespace headgate
