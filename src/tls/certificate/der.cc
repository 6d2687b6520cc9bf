#include "tls/certificate/der.h"

#include "tls/octets.h"

namespace headgate {
namespace {

constexpr std::uint8_t kLongTag = 0x1f;
constexpr std::size_t kMaxLengthBytes = 4;

}  // namespace

std::optional<DerValue> DerReader::next() {
  if (rest_.size() < 2 || (octet_at(rest_, 0) & kLongTag) == kLongTag) return std::nullopt;
  std::size_t length = octet_at(rest_, 1);
  std::size_t header = 2;
  if (length >= 0x80) {
    const std::size_t count = length & 0x7f;
    if (count == 0 || count > kMaxLengthBytes || rest_.size() < 2 + count) return std::nullopt;
    length = 0;
    for (std::size_t i = 0; i < count; ++i) length = length << 8 | octet_at(rest_, 2 + i);
    header += count;
  }
  if (length > rest_.size() - header) return std::nullopt;
  const DerValue value{octet_at(rest_, 0), rest_.subspan(header, length), rest_.first(header + length)};
  rest_ = rest_.subspan(header + length);
  return value;
}

std::optional<DerValue> DerReader::next(std::uint8_t tag) {
  if (peek() != tag) return std::nullopt;
  return next();
}

}  // namespace headgate
