#pragma once

#include <string>

#include "base/result.h"
#include "net/fd.h"

namespace headgate {

/// A self-signed certificate for one name with its key, in memory and never on a disk, for the demo. P-256,
/// valid for 30 days. It lives as long as the object.
class SelfSigned {
 public:
  /// Errors: kSystem.
  [[nodiscard]] static Result<SelfSigned> make(const std::string& name);

  /// The path at which this process can read both as one PEM file.
  [[nodiscard]] std::string path() const;

 private:
  explicit SelfSigned(Fd memory) : memory_(std::move(memory)) {}
  Fd memory_;
};

}  // namespace headgate
