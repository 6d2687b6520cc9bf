#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace headgate {

/// The values of the keys that a process reads at its start alone: a reload accepts others, which wait for a
/// restart. A value; any thread.
class StartKeys {
 public:
  /// `started` is the configuration of the start.
  explicit StartKeys(const config::Config& started);
  /// The keys that have another value in `now`: {"admin.bind", "user"}.
  [[nodiscard]] std::vector<std::string> changed_in(const config::Config& now) const;

 private:
  std::optional<Address> admin_, metrics_;
  LogFormat format_;
  std::string user_, group_;
  bool sandbox_;
};

}  // namespace headgate
