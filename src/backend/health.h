#pragma once

#include <cstdint>

namespace headgate {

/// Whether a server is up, from the results of its checks: `rise` successes in a row bring it up, `fall`
/// failures in a row take it down. A server begins up, so that a start or a reload serves at once, but until
/// one check has succeeded, the first failure takes it down. A value; no clock.
class Health {
 public:
  enum class Change : std::uint8_t { kNone, kCameUp, kWentDown };

  Health(int rise, int fall) : rise_(rise), fall_(fall) {}
  /// The same health with the bounds of another configuration.
  [[nodiscard]] Health with_bounds(int rise, int fall) const;

  Change succeeded();
  Change failed();
  [[nodiscard]] bool is_up() const { return up_; }

 private:
  int rise_;
  int fall_;
  int in_row_ = 0;  // results in a row that contradict `up_`
  bool up_ = true;
  bool proven_ = false;
};

}  // namespace headgate
