#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace headgate {

/// Empties this thread's error queue and says its oldest entry, the cause, in words: "bad end line (PEM
/// routines)". "no reason given" when the queue is empty. Any thread, about its own queue.
[[nodiscard]] std::string take_openssl_error();

/// "`doing`: what OpenSSL says", and empties the queue.
[[nodiscard]] tl::unexpected<Error> fail_openssl(ErrorKind kind, std::string_view doing);

}  // namespace headgate
