#include "net/starttls/request_steps.h"
#include "net/starttls/requests.h"

namespace headgate {

std::string_view PostgresRequest::opening() const {
  using namespace std::string_view_literals;
  return "\x00\x00\x00\x08\x04\xD2\x16\x2F"sv;
}

RequestStep PostgresRequest::feed(std::span<const std::byte> received) {
  if (received.empty()) return {};
  switch (std::to_integer<char>(received[0])) {
    case 'S':
      return request::go_ahead(1, received.size());
    case 'N':
      return request::refused("the server has no TLS: turn ssl on in it", {});
    case 'E':
      // The text of the error is nobody's who has been verified.
      return request::refused("the server answers the request for TLS with an error", {});
    default:
      return request::malformed("the server does not speak PostgreSQL's protocol");
  }
}

}  // namespace headgate
