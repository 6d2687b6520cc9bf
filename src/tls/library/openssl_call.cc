#include "tls/library/openssl_call.h"

#include <string>

#include "tls/library/error_reasons.h"
#include "tls/library/openssl_types.h"

namespace headgate {
namespace {

/// Empties this thread's error queue and returns its oldest entry, the cause.
std::string take_reason() {
  const ErrorCode oldest = ERR_get_error();
  ERR_clear_error();
  if (oldest == 0) return "no reason given";
  const char* library = ERR_lib_error_string(oldest);
  std::string text = reason_words(oldest);
  if (library != nullptr) text.append(" (").append(library).append(")");
  return text;
}

}  // namespace

tl::unexpected<Error> fail_openssl(ErrorKind kind, std::string_view fault) {
  return fail(kind, std::string(fault) + ": " + take_reason());
}

}  // namespace headgate
