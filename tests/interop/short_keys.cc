#include "tls/record/record_layer.h"

/// Takes the place of the weak function of the same name: a KeyUpdate every few records, not every 8 million.
namespace headgate {

bool RecordProtector::key_is_worn() const {
  constexpr std::uint64_t kFewRecords = 16;
  return direction_.sequence_number() >= kFewRecords;
}

}  // namespace headgate
