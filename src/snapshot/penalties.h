#pragma once

#include <cstdint>

#include "base/units.h"
#include "config/config.h"
#include "net/source_address.h"
#include "snapshot/source_table.h"

namespace headgate {

/// The sources of a listener whose handshakes keep failing, and which get no connection for a while.
///
/// The failures of a source count from the first one on, for `penalty.within`; each handshake that succeeds
/// takes one of them back. So a NAT with many clients is not penalized for the clients that fail, as long
/// as others succeed. Any thread.
class Penalties {
 public:
  /// Whether connections of `source` are refused now.
  [[nodiscard]] bool is_penalized(SourceNetwork source, TimePoint now);
  /// Counts a handshake of `source` that failed. True: the penalty begins with it.
  bool count_failed(SourceNetwork source, const config::Penalty& penalty, TimePoint now);
  /// Counts a handshake that succeeded.
  void count_ok(SourceNetwork source, TimePoint now);

 private:
  struct Record {
    TimePoint over;  ///< When the penalty ends, or the time in which failures count.
    std::uint32_t failures;
    bool penalized;
    [[nodiscard]] TimePoint forgettable() const { return over; }
  };

  SourceTable<Record> sources_;
};

}  // namespace headgate
