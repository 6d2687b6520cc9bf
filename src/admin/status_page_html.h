#pragma once

#include <string_view>

namespace headgate {

/// src/admin/status_page.html, put into the program by cmake/status_page.cmake. `__NONCE__` stands where the
/// nonce goes.
extern const std::string_view kStatusPageHtml;

}  // namespace headgate
