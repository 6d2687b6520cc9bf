#pragma once

#include <atomic>
#include <cstdint>

namespace headgate {

/// Says what this thread works on, for the report of a crash: "connection 1234 of listener web". Scopes nest;
/// the innermost counts. Costs a few stores, so that every callback can have one. Own thread only.
///
///     CrashTag tag(listener_name.c_str(), connection_id);  // at the top of a callback
class CrashTag {
 public:
  /// `listener` must outlive the scope.
  CrashTag(const char* listener, std::uint64_t connection_id)
      : listener_(listener), connection_id_(connection_id), outer_(current_) {
    std::atomic_signal_fence(std::memory_order_release);  // the fields are there before a handler may look
    current_ = this;
    std::atomic_signal_fence(std::memory_order_seq_cst);  // and the tag is before whatever may fault
  }
  ~CrashTag() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    current_ = outer_;
  }
  CrashTag(const CrashTag&) = delete;
  CrashTag& operator=(const CrashTag&) = delete;

  /// Writes the calling thread's tag to `fd` as a line, nothing where there is none. Async-signal-safe.
  static void write_current(int fd);

 private:
  const char* listener_;
  std::uint64_t connection_id_;
  const CrashTag* outer_;
  // What a signal handler of this very thread reads: constant-initialised, so reaching it allocates nothing.
  static constinit thread_local const CrashTag* current_;
};

}  // namespace headgate
