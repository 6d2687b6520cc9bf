#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace headgate {

/// Empties this thread's error queue and returns its oldest entry, the cause, as text: "bad end line (PEM
/// routines)". "no reason given" when the queue is empty. Any thread, for its own queue.
[[nodiscard]] std::string take_openssl_error();

/// "`doing`: OpenSSL's reason", as an error. Empties the queue.
[[nodiscard]] tl::unexpected<Error> fail_openssl(ErrorKind kind, std::string_view doing);

}  // namespace headgate
