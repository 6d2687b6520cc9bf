#include "net/starttls/postgres_packet.h"

namespace headgate::postgres {

std::uint32_t read_u32(std::span<const std::byte> at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<std::uint32_t>(at[i]);
  return value;
}

FirstMessage read_first_message(std::span<const std::byte> received) {
  using Kind = FirstMessage::Kind;
  if (received.size() < kHeadBytes) return {};
  const std::size_t size_bytes = read_u32(received);
  const bool cancel = read_u32(received.subspan(4)) == kCancelCode && size_bytes >= kMinCancelBytes &&
                      size_bytes <= kMaxCancelBytes;
  if (!cancel) return {.kind = Kind::kOther};
  return {.kind = received.size() < size_bytes ? Kind::kNeedMore : Kind::kCancel, .size_bytes = size_bytes};
}

}  // namespace headgate::postgres
