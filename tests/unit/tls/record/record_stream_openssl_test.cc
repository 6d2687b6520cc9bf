#include <unistd.h>

#include <gtest/gtest.h>
#include <openssl/err.h>

#include "unit/tls/record/against_openssl.h"

// RecordStream against the library's own record layer: every suite, both roles.
namespace headgate {
namespace {

INSTANTIATE_TEST_SUITE_P(Suites, AgainstOpenssl, suites_and_roles(), name_of_suite);

TEST_P(AgainstOpenssl, CountsTheSessionTicketsItSent) {
  for (const std::size_t tickets : {0u, 1u, 2u, 5u}) {
    Tls13Pair::Options with_tickets = options();
    with_tickets.tickets = tickets;
    Tls13Pair pair(with_tickets);
    RecordStream stream(std::move(pair.state), worker_.buffers, worker_.contexts);
    EXPECT_EQ(stream.write(text_bytes("to the peer")), IoStatus::kDone);
    pair.peer_writes(text_bytes("to us"));
    EXPECT_EQ(string_of(pair.peer_reads()), "to the peer") << tickets;
    EXPECT_EQ(string_of(read_all(stream)), "to us") << tickets;
  }
}

TEST_P(AgainstOpenssl, ExchangesRandomTrafficWithKeyUpdates) {
  exchange_random_traffic(options());
}

TEST_P(AgainstOpenssl, UnderstandsOneStreamOfRecordsCutAtEveryByte) {
  Tls13Pair pair(options());
  pair.peer_reads();
  RecordStream drained(std::move(pair.state), worker_.buffers, worker_.contexts);
  read_all(drained);  // a server's tickets
  const RecordStreamState begin = drained.take_state();

  ByteVector expected;
  SSL_set0_wbio(pair.peer.get(), BIO_new(BIO_s_mem()));
  for (const std::size_t size : {20u, 1u, 50u}) {
    const ByteVector bytes = random_bytes(size);
    pair.peer_writes(bytes);
    pair.peer_updates_keys(KeyUpdateRequest::kNotRequested);
    append(expected, bytes);
  }
  char* data = nullptr;
  const auto size = static_cast<std::size_t>(BIO_get_mem_data(SSL_get_wbio(pair.peer.get()), &data));
  const auto* first = reinterpret_cast<const std::byte*>(data);
  const ByteVector wire(first, first + size);

  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    SocketPair sockets;
    RecordStream stream({.socket = std::move(sockets.ours),
                         .role = begin.role,
                         .sending = clone(begin.sending),
                         .receiving = clone(begin.receiving),
                         .received = {wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(cut / 2)},
                         .unsent = {}},
                        worker_.buffers, worker_.contexts);
    const int fd = sockets.theirs.number();
    ASSERT_EQ(::write(fd, wire.data() + cut / 2, cut - cut / 2), static_cast<ssize_t>(cut - cut / 2));
    ByteVector got = read_all(stream);
    ASSERT_EQ(::write(fd, wire.data() + cut, wire.size() - cut), static_cast<ssize_t>(wire.size() - cut));
    append(got, read_all(stream));
    ASSERT_EQ(got, expected) << cut;
  }
}

TEST_P(AgainstOpenssl, AnswersAKeyUpdateWithoutWaitingForData) {
  Tls13Pair pair(options());
  RecordStream stream(std::move(pair.state), worker_.buffers, worker_.contexts);
  pair.peer_updates_keys(KeyUpdateRequest::kRequested);
  EXPECT_TRUE(read_all(stream).empty());
  EXPECT_TRUE(pair.peer_reads().empty());
  EXPECT_EQ(SSL_get_error(pair.peer.get(), -1), SSL_ERROR_WANT_READ);
  EXPECT_EQ(stream.write(text_bytes("under new keys")), IoStatus::kDone);
  EXPECT_EQ(string_of(pair.peer_reads()), "under new keys");
}

TEST_P(AgainstOpenssl, EndsBothDirectionsInOrder) {
  Tls13Pair pair(options());
  RecordStream stream(std::move(pair.state), worker_.buffers, worker_.contexts);
  ASSERT_EQ(stream.write(text_bytes("bye")), IoStatus::kDone);
  ASSERT_EQ(stream.end_writing(), IoStatus::kDone);
  EXPECT_EQ(string_of(pair.peer_reads()), "bye");
  EXPECT_EQ(SSL_get_shutdown(pair.peer.get()), SSL_RECEIVED_SHUTDOWN);
  pair.peer_writes(text_bytes("last"));
  EXPECT_EQ(SSL_shutdown(pair.peer.get()), 1);
  EXPECT_EQ(string_of(read_all(stream)), "last");
  ByteVector into(kMaxRecordContentBytes);
  EXPECT_EQ(stream.read(into).status, IoStatus::kEnded);
  EXPECT_FALSE(stream.ended_without_notice());
}

TEST_P(AgainstOpenssl, SaysBadRecordMacInAWayThatOpensslUnderstands) {
  Tls13Pair pair(options());
  const int fd = pair.peer_fd;
  RecordStream stream(std::move(pair.state), worker_.buffers, worker_.contexts);
  const ByteVector forged =
      hex("1703030020 000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f");
  read_all(stream);
  ASSERT_EQ(::write(fd, forged.data(), forged.size()), static_cast<ssize_t>(forged.size()));
  ByteVector into(kMaxRecordContentBytes);
  EXPECT_EQ(stream.read(into).status, IoStatus::kFailed);
  std::size_t size = 0;
  ERR_clear_error();
  EXPECT_EQ(SSL_read_ex(pair.peer.get(), into.data(), into.size(), &size), 0);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
  ERR_clear_error();
}

}  // namespace
}  // namespace headgate
