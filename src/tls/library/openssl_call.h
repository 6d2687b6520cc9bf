#pragma once

#include <string_view>
#include <type_traits>
#include <utility>

#include <openssl/err.h>

#include "base/result.h"

namespace headgate {

/// Makes the error of a call that failed: "`fault`: bad end line (PEM routines)". The reason is the oldest
/// entry of this thread's error queue, and the queue is empty afterwards. call_openssl() does this for its
/// caller.
[[nodiscard]] tl::unexpected<Error> fail_openssl(ErrorKind kind, std::string_view fault);

/// Makes one call into OpenSSL that may fail. `call` returns a number or a bool, which is above zero on
/// success (Result<void>), or an owner, which is not null on success (Result of that owner).
///
/// The thread's error queue is emptied first, so that an entry of an earlier call is not taken for the reason
/// of this one, and is empty again after a failure. Any thread. Errors: `kind`, with `fault` and OpenSSL's
/// reason.
///
///     auto store = call_openssl(ErrorKind::kSystem, "OpenSSL could not make a store",
///                               [] { return X509StorePtr(X509_STORE_new()); });
template <class Call>
[[nodiscard]] auto call_openssl(ErrorKind kind, std::string_view fault, Call&& call) {
  using Answer = std::invoke_result_t<Call>;
  ERR_clear_error();
  Answer answer = std::forward<Call>(call)();
  if constexpr (std::is_integral_v<Answer>) {
    return answer > 0 ? Result<void>() : Result<void>(fail_openssl(kind, fault));
  } else {
    return answer != nullptr ? Result<Answer>(std::move(answer)) : Result<Answer>(fail_openssl(kind, fault));
  }
}

/// Makes a call whose failure is an ordinary answer: returns what `call` returns, and drops OpenSSL's reason.
template <class Call>
auto ask_openssl(Call&& call) {
  auto answer = std::forward<Call>(call)();
  ERR_clear_error();
  return answer;
}

}  // namespace headgate
