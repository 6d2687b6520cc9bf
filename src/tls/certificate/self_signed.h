#pragma once

#include <string>

#include "base/result.h"
#include "net/fd.h"

namespace headgate {

/// A certificate for one name that vouches for itself, with its key, in memory and never on a disk: for the
/// demo. P-256, valid for 30 days. Gone when the object is.
class SelfSigned {
 public:
  /// Errors: kSystem.
  [[nodiscard]] static Result<SelfSigned> make(const std::string& name);

  /// Where this process can read both as one PEM file.
  [[nodiscard]] std::string path() const;

 private:
  explicit SelfSigned(Fd memory) : memory_(std::move(memory)) {}
  Fd memory_;
};

}  // namespace headgate
