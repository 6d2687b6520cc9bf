#include "snapshot/source_paces.h"

#include "snapshot/pace.h"

namespace headgate {

bool SourcePaces::take(SourceNetwork source, std::uint32_t per_second, TimePoint now) {
  return sources_.with(source, [&](Record& record) {
    const auto following = after_event(record.next, per_second, now);
    if (following) record.next = *following;
    return following.has_value();
  });
}

}  // namespace headgate
