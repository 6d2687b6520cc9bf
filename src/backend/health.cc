#include "backend/health.h"

namespace headgate {

Health Health::with_bounds(int rise, int fall) const {
  Health health = *this;
  health.rise_ = rise;
  health.fall_ = fall;
  return health;
}

Health::Change Health::succeeded() {
  proven_ = true;
  if (up_) {
    in_row_ = 0;
    return Change::kNone;
  }
  if (++in_row_ < rise_) return Change::kNone;
  up_ = true;
  in_row_ = 0;
  return Change::kCameUp;
}

Health::Change Health::failed() {
  if (!up_) {
    in_row_ = 0;
    return Change::kNone;
  }
  if (++in_row_ < fall_ && proven_) return Change::kNone;
  up_ = false;
  in_row_ = 0;
  return Change::kWentDown;
}

}  // namespace headgate
