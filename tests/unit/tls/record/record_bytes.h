#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tls/record/record_layer.h"

/// Bytes in the forms in which tests write them.
namespace headgate {

using ByteVector = std::vector<std::byte>;

/// Returns the bytes that hex digits spell; blanks are passed over.
inline ByteVector hex(std::string_view digits) {
  ByteVector bytes;
  int high = -1;
  for (const char digit : digits) {
    if (digit == ' ') continue;
    const int value = digit <= '9' ? digit - '0' : digit - 'a' + 10;
    if (high >= 0) bytes.push_back(static_cast<std::byte>(high * 16 + value));
    high = high < 0 ? value : -1;
  }
  return bytes;
}

inline ByteVector text_bytes(std::string_view text) {
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

inline std::string string_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline void append(ByteVector& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

/// The start of a direction whose secret is `fill` repeated.
inline DirectionState test_direction(RecordSuite suite = RecordSuite::kAes128GcmSha256,
                                     unsigned char fill = 7, std::uint64_t sequence_number = 0) {
  const ByteVector secret(size_bytes(row(suite).hash), std::byte{fill});
  return {.suite = suite, .secret = TrafficSecret(secret), .sequence_number = sequence_number};
}

inline DirectionState clone(const DirectionState& state) {
  return {.suite = state.suite, .secret = state.secret.clone(), .sequence_number = state.sequence_number};
}

inline ByteVector seal(RecordProtector& protector, ContentType type, std::span<const std::byte> content) {
  ByteVector record(content.size() + kRecordOverheadBytes);
  record.resize(protector.seal(type, content, record));
  return record;
}

inline ByteVector seal_data(RecordProtector& protector, std::string_view text) {
  return seal(protector, ContentType::kApplicationData, text_bytes(text));
}

/// Returns a record whose content has `padding_bytes` of padding behind it. The type that seal() puts last is
/// one of these bytes.
inline ByteVector seal_padded(RecordProtector& protector, ContentType type, std::string_view text,
                              std::size_t padding_bytes) {
  ByteVector inner = text_bytes(text);
  inner.push_back(static_cast<std::byte>(type));
  inner.resize(inner.size() + padding_bytes - 1);
  return seal(protector, ContentType{0}, inner);
}

inline constexpr RecordSuite kAllSuites[] = {RecordSuite::kAes128GcmSha256, RecordSuite::kAes256GcmSha384,
                                             RecordSuite::kChacha20Poly1305Sha256};

}  // namespace headgate
