#include "snapshot/penalties.h"

namespace headgate {

bool Penalties::is_penalized(SourceNetwork source, TimePoint now) {
  bool penalized = false;
  sources_.with_known(source,
                      [&](const Record& record) { penalized = record.penalized && now < record.over; });
  return penalized;
}

bool Penalties::count_failed(SourceNetwork source, const config::Penalty& penalty, TimePoint now) {
  return sources_.with(source, [&](Record& record) {
    if (now >= record.over) record = {.over = now + penalty.within, .failures = 0, .penalized = false};
    if (record.penalized || ++record.failures < penalty.failures) return false;
    record = {.over = now + penalty.for_time, .failures = 0, .penalized = true};
    return true;
  });
}

void Penalties::count_ok(SourceNetwork source, TimePoint now) {
  sources_.with_known(source, [&](Record& record) {
    if (now < record.over && record.failures > 0) --record.failures;
  });
}

}  // namespace headgate
