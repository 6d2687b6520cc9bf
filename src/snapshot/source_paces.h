#pragma once

#include <cstdint>

#include "base/units.h"
#include "net/source_address.h"
#include "snapshot/source_table.h"

namespace headgate {

/// A pace for each source of a listener. Any thread.
class SourcePaces {
 public:
  /// Whether another event of `source` may come now, at `per_second` events a second of each source. A
  /// second's worth may come at once. `per_second` is not 0.
  [[nodiscard]] bool take(SourceNetwork source, std::uint32_t per_second, TimePoint now);

 private:
  /// When the next event would be due if they came evenly: a source of which that is past is like a new one.
  struct Record {
    TimePoint next;
    [[nodiscard]] TimePoint forgettable() const { return next; }
  };

  SourceTable<Record> sources_;
};

}  // namespace headgate
