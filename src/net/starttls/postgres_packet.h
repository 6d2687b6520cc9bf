#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

/// The first message of a PostgreSQL client, as far as its destination depends on it ("Message Formats" and
/// "Canceling Requests in Progress" of the frontend/backend protocol 3). It has no type: four bytes of
/// length, themselves included, and a code, both big-endian.
namespace headgate::postgres {

inline constexpr std::size_t kHeadBytes = 8;
inline constexpr std::uint32_t kCancelCode = 80877102;
/// CancelRequest: the head, the number of the server's process, and a key of 4 bytes; of up to 256 bytes
/// since protocol 3.2.
inline constexpr std::size_t kMinCancelBytes = 16;
inline constexpr std::size_t kMaxCancelBytes = 12 + 256;

[[nodiscard]] std::uint32_t read_u32(std::span<const std::byte> at);

struct FirstMessage {
  enum class Kind : std::uint8_t {
    kNeedMore,
    kCancel,  ///< The client asks to cancel a query of another connection.
    kOther,
  };
  Kind kind = Kind::kNeedMore;
  std::size_t size_bytes = 0;  ///< Of a CancelRequest.
};
/// Reads the message at the start of `received`. A CancelRequest of a length that it cannot have is kOther.
/// Pure; any thread.
[[nodiscard]] FirstMessage read_first_message(std::span<const std::byte> received);

}  // namespace headgate::postgres
