#pragma once

#include <cstdint>

namespace headgate {

/// Says what this thread works on, for the report of a crash: "connection 1234 of listener web". Scopes nest;
/// the innermost counts. Costs two stores. Own thread only.
///
///     CrashTag tag(listener_name.c_str(), connection_id);  // at the top of a callback
class CrashTag {
 public:
  /// `listener` must outlive the scope.
  CrashTag(const char* listener, std::uint64_t connection_id);
  ~CrashTag();
  CrashTag(const CrashTag&) = delete;
  CrashTag& operator=(const CrashTag&) = delete;

  /// Writes the calling thread's tag to `fd` as a line, nothing where there is none. Async-signal-safe.
  static void write_current(int fd);

 private:
  const char* listener_;
  std::uint64_t connection_id_;
  const CrashTag* outer_;
};

}  // namespace headgate
