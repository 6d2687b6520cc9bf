#include "tls/record/record_sizing.h"

#include <algorithm>

#include "tls/record/record_layer.h"

namespace headgate {

void RecordSizing::begin_write(Milliseconds now) {
  if (now - last_write_ >= kSilence) burst_bytes_ = 0;
  last_write_ = now;
}

std::size_t RecordSizing::next_record_bytes() const {
  if (burst_bytes_ >= kMediumRecordsUntilBytes) return kMaxRecordContentBytes;
  return burst_bytes_ >= kSegmentRecordsUntilBytes ? kMediumRecordBytes : kSegmentRecordBytes;
}

void RecordSizing::sent(std::size_t content_bytes) {
  burst_bytes_ = static_cast<std::uint32_t>(std::min(burst_bytes_ + content_bytes, kMediumRecordsUntilBytes));
}

}  // namespace headgate
