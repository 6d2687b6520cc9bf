#pragma once

#include <atomic>
#include <cstdint>

namespace headgate {

/// Records what this thread works on, for the report of a crash: "connection 1234 of listener web". Scopes
/// nest, and the report names the innermost. A tag costs a few stores, so that every callback can have one.
/// Own thread only.
///
///     CrashTag tag(listener_name.c_str(), connection_id);  // at the top of a callback
class CrashTag {
 public:
  /// `listener` must outlive the scope.
  CrashTag(const char* listener, std::uint64_t connection_id)
      : listener_(listener), connection_id_(connection_id), outer_(current_) {
    std::atomic_signal_fence(
        std::memory_order_release);  // the fields are written before a handler can read them
    current_ = this;
    std::atomic_signal_fence(std::memory_order_seq_cst);  // and the tag is set before anything can fault
  }
  ~CrashTag() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    current_ = outer_;
  }
  CrashTag(const CrashTag&) = delete;
  CrashTag& operator=(const CrashTag&) = delete;

  /// Writes the calling thread's tag to `fd` as a line, or nothing if the thread has none. Async-signal-safe.
  static void write_current(int fd);

 private:
  const char* listener_;
  std::uint64_t connection_id_;
  const CrashTag* outer_;
  // A signal handler of this thread reads it. It is constant-initialised, so that reading it allocates
  // nothing.
  static constinit thread_local const CrashTag* current_;
};

}  // namespace headgate
