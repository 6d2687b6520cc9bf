#pragma once

#include <cstdint>
#include <string_view>

/// Makes one call of the data plane fail: a call to the system, or a request for memory.
///
/// The program defines the functions of the C library itself, and the dynamic linker prefers these
/// definitions, also for the libraries that the program uses. Calls of other threads than a worker's two
/// threads, and calls on descriptors that were there before the plan, go on to the system untouched.
namespace headgate::test {

enum class Call : std::uint8_t {
  kNone,
  kAccept,
  kRecv,
  kRecvmsg,
  kSend,
  kSocket,
  kSplice,
  kPipe,
  kConnect,
  kSetsockopt,
  kGetsockname,
  kShutdown,
  kPoll,
  kEpollCtl,
  kThread,         ///< pthread_create()
  kNew,            ///< operator new
  kOpensslMemory,  ///< OpenSSL's malloc() and realloc()
};
inline constexpr std::size_t kCallCount = static_cast<std::size_t>(Call::kOpensslMemory) + 1;
[[nodiscard]] std::string_view name(Call call);

/// In place of a value of errno: the call moves a single byte.
inline constexpr int kOneByte = -1;
/// In place of `nth`: each call fails.
inline constexpr std::uint64_t kEach = 0;

/// Which call fails, and how. Each call is counted from 1, on the descriptors of one life.
struct FaultPlan {
  Call call = Call::kNone;
  std::uint64_t nth = 1;
  int error = 0;
};

/// Begins to count the calls of the data plane, and makes one fail as `plan` says. The test's thread.
void begin_faults(const FaultPlan& plan);
/// Ends it. Returns whether the call was made, and failed.
bool end_faults();
/// How many calls were made since begin_faults().
[[nodiscard]] std::uint64_t calls_made(Call call);

}  // namespace headgate::test
