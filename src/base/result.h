#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace headgate {

/// What the caller of a failed operation should do about it.
enum class ErrorKind {
  kIncomplete,  ///< More input may make it succeed; nothing was consumed.
  kMalformed,   ///< The input can never be right: refuse it.
  kInvalid,     ///< What the operator asked for cannot be done: tell the operator.
  kNotFound,    ///< The named thing is not there.
  kRefused,     ///< Understood, and not allowed.
  kSystem,      ///< The operating system refused; `what` has its message.
};

/// Why an operation could not be done. `what` is a sentence for the operator, with names and numbers in it.
struct Error {
  ErrorKind kind = ErrorKind::kSystem;
  std::string what;
};

/// A value, or the reason why there is no value.
template <class T>
using Result = tl::expected<T, Error>;

/// `return fail(ErrorKind::kInvalid, "...")` in a function that returns a Result.
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorKind kind, std::string what) {
  return tl::unexpected<Error>(Error{kind, std::move(what)});
}

/// "`where`: what", as an error of the same kind: in a key, an address, a part.
[[nodiscard]] inline tl::unexpected<Error> fail_in(std::string_view where, const Error& error) {
  return fail(error.kind, std::string(where) + ": " + error.what);
}

/// "`doing`: the text of `error_number`", as an error of the system. `error_number` is a value of errno.
[[nodiscard]] tl::unexpected<Error> fail_errno(std::string_view doing, int error_number);

}  // namespace headgate
