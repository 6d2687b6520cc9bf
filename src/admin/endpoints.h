#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "admin/admin_source.h"
#include "net/address.h"

namespace headgate {

/// The parts of a request that the endpoints look at. Borrows its text.
struct HttpRequest {
  /// RFC 9112 section 3.2: HTTP/1.1 has exactly one Host line, HTTP/1.0 may have none.
  enum class HostLine : unsigned char { kOne, kNone, kFaulty };

  std::string_view method{};  ///< "GET"
  std::string_view target{};  ///< "/log?level=debug", not decoded; or with "http://host" before it.
  std::string_view host{};    ///< Of the Host header.
  HostLine host_line = HostLine::kOne;
  std::string_view origin{};      ///< The Origin header, which a browser sends with every POST; empty: none.
  std::string_view fetch_site{};  ///< Sec-Fetch-Site: "same-origin", "cross-site"; empty: none.
  std::string_view fetch_mode{};  ///< Sec-Fetch-Mode: "navigate" where a person follows a link; empty: none.
  std::string_view token{};       ///< Of `Authorization: Bearer`, or the password of `Basic`.
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json; charset=utf-8";
  std::string body{};
  std::string allow{};                    ///< The Allow header of a 405; empty: no such header.
  std::string content_security_policy{};  ///< Empty: that of a document without any content.
};

/// Requests of one kind share threads, so that slow ones of one kind do not keep those of another waiting.
enum class AnswerKind : unsigned char { kProbe, kQuestion, kReload, kChange };
/// The kind of a request for `target`, by its path.
[[nodiscard]] AnswerKind kind_of(std::string_view target);

/// The requests that an address takes: all, or those for metrics and health alone.
enum class AdminOffer : unsigned char { kAll, kMetrics };

/// An address of the admin endpoint.
struct AdminAddress {
  Address bound{};
  AdminOffer offer = AdminOffer::kAll;
};

/// Answers a request that came to the address `at`. One table holds every request that Headgate answers over
/// HTTP; an address knows nothing of those that it does not offer. Any thread.
///
/// Where the configuration has a token, a request for anything but health must show it; the address of
/// metrics asks for none. GET and HEAD change nothing; a request that changes something is a POST. A request
/// for a host that is not this endpoint, and one that a browser sends for a page of another site, is refused;
/// only a link to a page may come from another site. A faulty request gets a 4xx with a sentence in it.
[[nodiscard]] HttpResponse answer(const HttpRequest& request, const AdminAddress& at, AdminSource& source);
/// The answer where too many requests of a kind wait.
[[nodiscard]] HttpResponse too_busy();
/// The answer to a request with a body of more than `limit` bytes.
[[nodiscard]] HttpResponse body_too_large(std::size_t limit);

}  // namespace headgate
