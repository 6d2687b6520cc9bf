#pragma once

#include <string>
#include <string_view>

#include "admin/admin_source.h"

namespace headgate {

/// A request, as far as the endpoints look at it. Borrows its text.
struct HttpRequest {
  std::string_view method{};  ///< "GET"
  std::string_view path{};    ///< "/metrics", decoded
  std::string_view query{};   ///< "level=debug", not decoded
  std::string_view host{};    ///< Of the Host header.
  std::string_view origin{};  ///< Of the Origin header, which a browser sends with every POST; empty: none.
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json; charset=utf-8";
  std::string body{};
  std::string allow{};                    ///< The Allow header of a 405; empty: none.
  std::string content_security_policy{};  ///< Empty: that of a document without any content.
};

/// Answers a request to the admin address: the whole of what HTTP can ask of Headgate, in one table. Any
/// thread.
///
/// GET and HEAD change nothing; what changes something is POST, and refused when a browser sends it for
/// another site's page. Faults of the request get a 4xx with a sentence in it.
[[nodiscard]] HttpResponse answer(const HttpRequest& request, AdminSource& source);

}  // namespace headgate
