#include "tls/record/partial_record.h"

#include <algorithm>
#include <cstring>

#include "tls/record/record_layer.h"

namespace headgate {

bool PartialRecord::has_record() const {
  return missing_bytes() == 0 && !empty();
}

// Does not wait for a record of an illegal length: opening the bytes that are there reports it.
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
  return {kept_->data.get() + kept_->end, missing};
}

void PartialRecord::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const std::size_t record = empty() ? std::min(record_size_bytes(bytes), kMaxRecordBytes) : 0;
  make_room(std::max(bytes.size(), record));
  std::memcpy(kept_->data.get() + kept_->end, bytes.data(), bytes.size());
  added(bytes.size());
}

void PartialRecord::consume(std::size_t size_bytes) {
  if (size_bytes == 0) return;
  kept_->begin += static_cast<std::uint32_t>(size_bytes);
  if (empty()) kept_->begin = kept_->end = 0;
}

void PartialRecord::release_if_empty() {
  if (empty()) kept_.reset();
}

void PartialRecord::make_room(std::size_t size_bytes) {
  if (!kept_) kept_ = std::make_unique<Kept>();
  Kept& kept = *kept_;
  const std::size_t size = kept.end - kept.begin;
  if (kept.end + size_bytes <= kept.capacity) return;
  if (size + size_bytes <= kept.capacity) {
    std::memmove(kept.data.get(), kept.data.get() + kept.begin, size);
  } else {
    auto larger = std::make_unique_for_overwrite<std::byte[]>(size + size_bytes);
    if (size > 0) std::memcpy(larger.get(), kept.data.get() + kept.begin, size);
    kept.data = std::move(larger);
    kept.capacity = static_cast<std::uint32_t>(size + size_bytes);
  }
  kept.begin = 0;
  kept.end = static_cast<std::uint32_t>(size);
}

}  // namespace headgate
