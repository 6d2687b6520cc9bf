#pragma once

#include <string>
#include <string_view>

namespace headgate {

/// The parts of a request's target (RFC 9112 section 3.2).
struct RequestTarget {
  std::string_view host{};   ///< Of "http://host:port/path", which then counts instead of the Host header.
  std::string path{};        ///< "/metrics", percent-decoded.
  std::string_view query{};  ///< "level=debug", not decoded.
};

/// Parses "/log?level=debug" or "http://host:port/log?level=debug". A target of another form is all path, and
/// so is a path with a bad percent escape. Borrows `text`. Pure; any thread.
[[nodiscard]] RequestTarget parse_target(std::string_view text);

}  // namespace headgate
