#include "base/crash_stack.h"

#include <signal.h>

namespace headgate {
namespace {

/// Unwinding takes some 10 KiB, and the kernel's own frame up to 12 KiB on CPUs with wide registers.
constexpr std::size_t kCrashStackBytes = 64 * 1024;

}  // namespace

CrashStack::CrashStack() : memory_(std::make_unique_for_overwrite<std::byte[]>(kCrashStackBytes)) {
  stack_t stack{};
  stack.ss_sp = memory_.get();
  stack.ss_size = kCrashStackBytes;
  sigaltstack(&stack, nullptr);
}

CrashStack::~CrashStack() {
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  sigaltstack(&none, nullptr);
}

}  // namespace headgate
