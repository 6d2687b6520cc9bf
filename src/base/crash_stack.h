#pragma once

#include <cstddef>
#include <memory>

namespace headgate {

/// A stack on which the calling thread reports its own crash, so that running out of stack can be reported
/// too. One per thread, made first thing in it and destroyed last, by that thread.
class CrashStack {
 public:
  CrashStack();
  ~CrashStack();
  CrashStack(const CrashStack&) = delete;
  CrashStack& operator=(const CrashStack&) = delete;

 private:
  std::unique_ptr<std::byte[]> memory_;
};

}  // namespace headgate
