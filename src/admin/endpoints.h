#pragma once

#include <string>
#include <string_view>

#include "admin/admin_source.h"

namespace headgate {

/// The parts of a request that the endpoints look at. Borrows its text.
struct HttpRequest {
  std::string_view method{};  ///< "GET"
  std::string_view path{};    ///< "/metrics", decoded
  std::string_view query{};   ///< "level=debug", not decoded
  std::string_view host{};    ///< Of the Host header.
  std::string_view
      origin{};  ///< The Origin header, which a browser sends with every POST; empty: no such header.
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json; charset=utf-8";
  std::string body{};
  std::string allow{};                    ///< The Allow header of a 405; empty: no such header.
  std::string content_security_policy{};  ///< Empty: that of a document without any content.
};

/// Answers a request to the admin address. One table holds every request that Headgate answers over HTTP. Any
/// thread.
///
/// GET and HEAD change nothing; a request that changes something is a POST, and is refused when a browser
/// sends it for a page of another site. A faulty request gets a 4xx with a sentence in it.
[[nodiscard]] HttpResponse answer(const HttpRequest& request, AdminSource& source);

}  // namespace headgate
