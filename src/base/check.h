#pragma once

namespace headgate {

/// Prints the expression and its place in the source on stderr, then aborts.
[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace headgate

/// Aborts unless `expression` holds. For conditions that only a fault of Headgate itself can break, never for
/// bytes from the network.
#define HG_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::headgate::check_failed(#expression, __FILE__, __LINE__))
