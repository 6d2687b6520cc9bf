#pragma once

#include <cstddef>
#include <memory>

namespace headgate {

/// A stack on which the calling thread reports its own crash, so that it can also report that its stack ran
/// out. Each thread makes its own first of all and destroys it last.
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
