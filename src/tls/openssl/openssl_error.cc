#include "tls/openssl/openssl_error.h"

#include <openssl/err.h>

namespace headgate {

std::string take_openssl_error() {
  const unsigned long oldest = ERR_get_error();
  ERR_clear_error();
  if (oldest == 0) return "no reason given";
  const char* reason = ERR_reason_error_string(oldest);
  const char* library = ERR_lib_error_string(oldest);
  std::string text = reason != nullptr ? reason : "error " + std::to_string(oldest);
  if (library != nullptr) text.append(" (").append(library).append(")");
  return text;
}

tl::unexpected<Error> fail_openssl(ErrorKind kind, std::string_view doing) {
  return fail(kind, std::string(doing) + ": " + take_openssl_error());
}

}  // namespace headgate
