#include "tls/partial_record.h"

#include <algorithm>
#include <cstring>

#include "tls/record_layer.h"

namespace headgate {

bool PartialRecord::has_record() const {
  return missing_bytes() == 0 && !empty();
}

// A length that is not legal will not be waited for: opening what is there says so.
std::size_t PartialRecord::missing_bytes() const {
  const std::size_t size = bytes().size();
  if (size < kRecordHeaderBytes) return kRecordHeaderBytes - size;
  const std::size_t record = record_size_bytes(bytes());
  if (record > kMaxRecordBytes) return 0;
  return record - std::min(record, size);
}

std::span<std::byte> PartialRecord::room_for_missing() {
  if (empty()) return {};
  const std::size_t missing = missing_bytes();
  make_room(missing);
  return {data_.get() + end_, missing};
}

void PartialRecord::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const std::size_t record = empty() ? std::min(record_size_bytes(bytes), kMaxRecordBytes) : 0;
  make_room(std::max(bytes.size(), record));
  std::memcpy(data_.get() + end_, bytes.data(), bytes.size());
  added(bytes.size());
}

void PartialRecord::consume(std::size_t size_bytes) {
  begin_ += static_cast<std::uint32_t>(size_bytes);
  if (empty()) begin_ = end_ = 0;
}

void PartialRecord::release_if_empty() {
  if (!empty()) return;
  data_.reset();
  capacity_ = 0;
}

void PartialRecord::make_room(std::size_t size_bytes) {
  const std::size_t kept = end_ - begin_;
  if (end_ + size_bytes <= capacity_) return;
  if (kept + size_bytes <= capacity_) {
    std::memmove(data_.get(), data_.get() + begin_, kept);
  } else {
    auto larger = std::make_unique_for_overwrite<std::byte[]>(kept + size_bytes);
    if (kept > 0) std::memcpy(larger.get(), data_.get() + begin_, kept);
    data_ = std::move(larger);
    capacity_ = static_cast<std::uint32_t>(kept + size_bytes);
  }
  begin_ = 0;
  end_ = static_cast<std::uint32_t>(kept);
}

}  // namespace headgate
