#pragma once

#include <new>
#include <type_traits>
#include <utility>

namespace headgate {

/// Returns the answer of `work`, or `otherwise` where the system has no memory left for it (std::bad_alloc).
///
/// A lack of memory ends the connection that needs the memory, and neither the process nor another
/// connection. So it is caught where one connection's work begins, and where C code calls us back: no
/// exception may pass through C code. Any thread.
template <class Work>
std::invoke_result_t<Work> unless_out_of_memory(std::invoke_result_t<Work> otherwise, Work&& work) noexcept {
  try {
    return std::forward<Work>(work)();
  } catch (const std::bad_alloc&) {
    return otherwise;
  }
}

/// Does `work`, and returns whether there was memory for all of it. Any thread.
template <class Work>
bool done_unless_out_of_memory(Work&& work) noexcept {
  return unless_out_of_memory(false, [&] {
    std::forward<Work>(work)();
    return true;
  });
}

template <auto kFunction, auto kOtherwise>
struct CallableFromC;
template <class Answer, class... Arguments, Answer (*kFunction)(Arguments...), auto kOtherwise>
struct CallableFromC<kFunction, kOtherwise> {
  static Answer call(Arguments... arguments) noexcept {
    return unless_out_of_memory(kOtherwise, [&] { return kFunction(arguments...); });
  }
};

/// A function for C code to call: it does what `kFunction` does, and answers `kOtherwise` where that ran out
/// of memory.
template <auto kFunction, auto kOtherwise>
inline constexpr auto callable_from_c = &CallableFromC<kFunction, kOtherwise>::call;

}  // namespace headgate
