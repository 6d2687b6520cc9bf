#include "connection/log_levels.h"

namespace headgate {

std::optional<LogLevel> LogLevels::find(std::string_view listener, const SourceAddress& source,
                                        TimePoint now) const {
  std::optional<LogLevel> found;
  for (const LogOverride& one : overrides_) {
    const bool matches = one.source ? one.source->contains(source.address()) : one.listener == listener;
    if (matches && now < one.until && (!found || one.level > *found)) found = one.level;
  }
  return found;
}

}  // namespace headgate
