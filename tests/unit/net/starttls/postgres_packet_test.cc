#include "net/starttls/postgres_packet.h"

#include <string>

#include <gtest/gtest.h>

namespace headgate::postgres {
namespace {

using Kind = FirstMessage::Kind;

FirstMessage read(const std::string& bytes) {
  return read_first_message(std::as_bytes(std::span(bytes)));
}

/// A CancelRequest with a key of that size, which says `length`.
std::string cancel(std::size_t key_bytes, std::size_t length) {
  std::string message;
  for (const int shift : {24, 16, 8, 0}) message += static_cast<char>(length >> shift);
  return message + std::string("\x04\xD2\x16\x2E\0\0\0\1", 8) + std::string(key_bytes, 'k');
}
std::string cancel(std::size_t key_bytes) {
  return cancel(key_bytes, 12 + key_bytes);
}

TEST(PostgresFirstMessage, IsACancelRequestWithAShortOrALongKey) {
  for (const std::size_t key_bytes : {4U, 32U, 256U}) {
    const std::string whole = cancel(key_bytes);
    EXPECT_EQ(read(whole).kind, Kind::kCancel);
    EXPECT_EQ(read(whole + "more").size_bytes, whole.size());
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_EQ(read(whole.substr(0, size)).kind, Kind::kNeedMore) << size;
  }
}

TEST(PostgresFirstMessage, IsNoCancelRequestOfALengthThatNoneHas) {
  for (const std::size_t length : {0U, 8U, 15U, 269U, 65552U})
    EXPECT_EQ(read(cancel(4, length)).kind, Kind::kOther) << length;
}

TEST(PostgresFirstMessage, IsAnotherOneWhateverElseComes) {
  EXPECT_EQ(read(std::string("\0\0\0\x08\0\3\0\0", 8)).kind, Kind::kOther);
  EXPECT_EQ(read(std::string("\x16\x03\x01\x02\x00\x01\x00\x01", 8)).kind, Kind::kOther);
  const std::string good = cancel(4);
  for (std::size_t at = 4; at < 8; ++at) {
    std::string damaged = good;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_EQ(read(damaged).kind, Kind::kOther) << at;
  }
}

}  // namespace
}  // namespace headgate::postgres
