#include "tls/record/record_stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include <gtest/gtest.h>

#include "unit/tls/record/record_bytes.h"
#include "unit/tls/tls13_pair.h"

namespace headgate {
namespace {

constexpr auto kSuite = RecordSuite::kAes128GcmSha256;
constexpr unsigned char kPeerFill = 1;
constexpr unsigned char kOurFill = 2;

RecordStreamState fresh_state(Fd socket, TlsRole role = TlsRole::kServer) {
  return {.socket = std::move(socket),
          .role = role,
          .sending = test_direction(kSuite, kOurFill),
          .receiving = test_direction(kSuite, kPeerFill),
          .received = {},
          .unsent = {}};
}

/// A stream, and its peer on the level of records.
class RecordStreamTest : public testing::Test {
 protected:
  void send(const ByteVector& bytes) {
    ASSERT_EQ(::write(peer_fd(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void send_data(std::string_view text) { send(seal_data(peer_sealer, text)); }
  void send_key_update(KeyUpdateRequest request) {
    ByteVector record(64);
    record.resize(peer_sealer.seal_key_update(request, record));
    send(record);
  }
  void send_alert(Alert alert) {
    ByteVector record(64);
    record.resize(peer_sealer.seal_alert(alert, record));
    send(record);
  }

  /// The ciphertext that the stream has sent.
  ByteVector sent() {
    ByteVector all;
    std::array<std::byte, 65536> part;
    for (ssize_t n; (n = ::read(peer_fd(), part.data(), part.size())) > 0;)
      append(all, std::span(part).first(static_cast<std::size_t>(n)));
    return all;
  }
  RecordOpener::Opened open_sent() { return peer_opener.open(sent(), opened); }
  std::string text_sent() {
    const auto result = open_sent();
    return string_of(std::span(opened).first(result.produced_bytes));
  }

  std::string text_read() {
    const ReadResult result = stream.read(into);
    EXPECT_EQ(result.status, IoStatus::kDone);
    return string_of(std::span(into).first(result.size_bytes));
  }
  IoStatus status_of_read() { return stream.read(into).status; }
  IoStatus write(std::string_view text) { return stream.write(text_bytes(text)); }
  void fill_our_socket() {
    const std::array<std::byte, 65536> junk{};
    while (::write(stream.descriptor(), junk.data(), junk.size()) > 0) junk_sent = true;
  }
  void expect_failure(FailureKind kind, int alert) {
    EXPECT_EQ(status_of_read(), IoStatus::kFailed);
    EXPECT_EQ(stream.failure().kind, kind);
    EXPECT_EQ(stream.failure().alert, alert);
    EXPECT_EQ(write("x"), IoStatus::kFailed);
    EXPECT_EQ(stream.end_writing(), IoStatus::kFailed);
  }
  [[nodiscard]] int peer_fd() const { return sockets.theirs.number(); }

  TestWorker worker;
  SocketPair sockets;
  RecordProtector peer_sealer{worker.contexts, test_direction(kSuite, kPeerFill)};
  RecordOpener peer_opener{worker.contexts, TlsRole::kClient, test_direction(kSuite, kOurFill)};
  RecordStream stream{fresh_state(std::move(sockets.ours)), worker.buffers, worker.contexts};
  ByteVector into = ByteVector(kMaxWriteBytes);
  ByteVector opened = ByteVector(4 << 20);
  bool junk_sent = false;
};

TEST_F(RecordStreamTest, ReadsWhatIsThereAndSaysThatItWasAll) {
  send_data("hello ");
  send_data("world");
  const ReadResult result = stream.read(into);
  EXPECT_EQ(string_of(std::span(into).first(result.size_bytes)), "hello world");
  EXPECT_TRUE(result.drained);
  EXPECT_EQ(status_of_read(), IoStatus::kWantRead);
}

TEST_F(RecordStreamTest, DoesNotAskASocketAgainThatWasEmptyWhenItBegan) {
  SocketPair other;
  RecordStreamState state = fresh_state(std::move(other.ours));
  state.received = seal_data(peer_sealer, "came with the Finished");
  state.drained = true;
  RecordStream begun(std::move(state), worker.buffers, worker.contexts);
  const ByteVector later = seal_data(peer_sealer, "came later");
  ASSERT_EQ(::write(other.theirs.number(), later.data(), later.size()), static_cast<ssize_t>(later.size()));

  const ReadResult first = begun.read(into);
  EXPECT_EQ(string_of(std::span(into).first(first.size_bytes)), "came with the Finished");
  EXPECT_TRUE(first.drained);
  const ReadResult second = begun.read(into);
  EXPECT_EQ(string_of(std::span(into).first(second.size_bytes)), "came later");
}

TEST_F(RecordStreamTest, WaitsForTheRestOfARecordAtEveryByte) {
  for (const std::size_t size : {1u, 700u}) {
    const std::string text(size, 't');
    const std::size_t length = size + kRecordOverheadBytes;
    for (std::size_t cut = 1; cut < length; ++cut) {
      const ByteVector record = seal_data(peer_sealer, text);
      send({record.begin(), record.begin() + static_cast<std::ptrdiff_t>(cut)});
      ASSERT_EQ(status_of_read(), IoStatus::kWantRead);
      ASSERT_FALSE(stream.has_buffered());
      send({record.begin() + static_cast<std::ptrdiff_t>(cut), record.end()});
      ASSERT_EQ(text_read(), text) << cut;
    }
  }
}

TEST_F(RecordStreamTest, TakesRecordsByteByByte) {
  ByteVector records = seal_data(peer_sealer, "first");
  append(records, seal_padded(peer_sealer, ContentType::kApplicationData, "second", 30));
  std::string text;
  for (const std::byte byte : records) {
    send({byte});
    const ReadResult result = stream.read(into);
    text += string_of(std::span(into).first(result.size_bytes));
  }
  EXPECT_EQ(text, "firstsecond");
}

TEST_F(RecordStreamTest, NeverReceivesMoreThanTheCallerHasRoomFor) {
  std::string expected;
  for (const std::size_t size : {16384u, 16384u, 100u, 16384u, 9000u, 9000u, 16384u}) {
    const std::string text(size, static_cast<char>('a' + expected.size() % 26));
    send_data(text);
    expected += text;
  }
  std::string text;
  for (;;) {
    const ReadResult result = stream.read(std::span(into).first(kMaxRecordContentBytes));
    if (result.status != IoStatus::kDone) break;
    EXPECT_FALSE(stream.has_buffered());
    text += string_of(std::span(into).first(result.size_bytes));
  }
  EXPECT_EQ(text, expected);
}

TEST_F(RecordStreamTest, WaitsAgainWhenRecordsBroughtNoData) {
  send_data("");
  send_key_update(KeyUpdateRequest::kNotRequested);
  EXPECT_EQ(status_of_read(), IoStatus::kWantRead);
  send_data("x");
  EXPECT_EQ(text_read(), "x");
}

TEST_F(RecordStreamTest, DeliversDataBeforeTheEndThatCameWithIt) {
  send_data("last words");
  send_alert(Alert::kCloseNotify);
  const ReadResult result = stream.read(into);
  EXPECT_EQ(result.size_bytes, 10u);
  EXPECT_FALSE(result.drained);
  EXPECT_TRUE(stream.has_buffered());
  EXPECT_EQ(status_of_read(), IoStatus::kEnded);
  EXPECT_FALSE(stream.ended_without_notice());
  EXPECT_FALSE(stream.has_buffered());
  EXPECT_EQ(status_of_read(), IoStatus::kEnded);
}

TEST_F(RecordStreamTest, WritesOnAfterThePeerEnded) {
  send_alert(Alert::kCloseNotify);
  EXPECT_EQ(status_of_read(), IoStatus::kEnded);
  EXPECT_EQ(write("answer"), IoStatus::kDone);
  EXPECT_EQ(text_sent(), "answer");
}

TEST_F(RecordStreamTest, TellsAnEndWithoutCloseNotifyApart) {
  send_data("x");
  ::shutdown(peer_fd(), SHUT_WR);
  EXPECT_EQ(text_read(), "x");
  EXPECT_EQ(status_of_read(), IoStatus::kEnded);
  EXPECT_TRUE(stream.ended_without_notice());
}

TEST_F(RecordStreamTest, FailsWhenTheTransportEndsInsideARecord) {
  ByteVector record = seal_data(peer_sealer, "x");
  record.pop_back();
  send(record);
  ::shutdown(peer_fd(), SHUT_WR);
  EXPECT_EQ(status_of_read(), IoStatus::kWantRead);
  expect_failure(FailureKind::kTruncated, -1);
}

TEST_F(RecordStreamTest, FailsWhenTheTransportEndsInsideAHandshakeMessage) {
  send(seal(peer_sealer, ContentType::kHandshake, hex("1800")));
  ::shutdown(peer_fd(), SHUT_WR);
  EXPECT_EQ(status_of_read(), IoStatus::kWantRead);
  expect_failure(FailureKind::kTruncated, -1);
}

TEST_F(RecordStreamTest, NamesThePeersAlert) {
  send_data("x");
  send_alert(Alert::kInternalError);
  EXPECT_EQ(text_read(), "x");
  EXPECT_TRUE(stream.has_buffered());
  expect_failure(FailureKind::kPeerAlert, static_cast<int>(Alert::kInternalError));
  EXPECT_TRUE(sent().empty());
}

TEST_F(RecordStreamTest, AnswersADamagedRecordWithBadRecordMac) {
  ByteVector record = seal_data(peer_sealer, "x");
  record.back() ^= std::byte{1};
  send(record);
  expect_failure(FailureKind::kProtocol, static_cast<int>(Alert::kBadRecordMac));
  const auto result = open_sent();
  EXPECT_EQ(result.status, RecordOpener::Status::kPeerAlert);
  EXPECT_EQ(result.alert, Alert::kBadRecordMac);
}

TEST_F(RecordStreamTest, DeliversGoodRecordsInFrontOfADamagedOne) {
  ByteVector records = seal_data(peer_sealer, "good");
  append(records, seal_data(peer_sealer, "bad"));
  records.back() ^= std::byte{1};
  send(records);
  EXPECT_EQ(text_read(), "good");
  expect_failure(FailureKind::kProtocol, static_cast<int>(Alert::kBadRecordMac));
}

TEST_F(RecordStreamTest, AnswersAKeyUpdateAtOnceAndOncePerRead) {
  send_key_update(KeyUpdateRequest::kRequested);
  send_key_update(KeyUpdateRequest::kRequested);
  EXPECT_EQ(status_of_read(), IoStatus::kWantRead);
  const ByteVector answer = sent();
  EXPECT_EQ(answer.size(), 5 + kRecordOverheadBytes);
  EXPECT_EQ(peer_opener.open(answer, opened).status, RecordOpener::Status::kNeedsMore);
  EXPECT_FALSE(peer_opener.take_key_update_request());
  EXPECT_EQ(write("under new keys"), IoStatus::kDone);
  EXPECT_EQ(text_sent(), "under new keys");
}

TEST_F(RecordStreamTest, AnswersAKeyUpdateBehindWhatIsUnsent) {
  fill_our_socket();
  EXPECT_EQ(write("kept"), IoStatus::kWantWrite);
  send_key_update(KeyUpdateRequest::kRequested);
  send_data("x");
  EXPECT_EQ(text_read(), "x");
  EXPECT_EQ(stream.unsent_bytes(), 4 + kRecordOverheadBytes);
  EXPECT_FALSE(stream.is_movable());
  sent();
  EXPECT_EQ(stream.flush(), IoStatus::kDone);
  const auto result = open_sent();
  EXPECT_EQ(string_of(std::span(opened).first(result.produced_bytes)), "kept");
  EXPECT_EQ(peer_opener.state().sequence_number, 0u) << "the answer has come";
}

TEST_F(RecordStreamTest, KeepsOneAnswerForAPeerThatReadsNothing) {
  fill_our_socket();
  send_key_update(KeyUpdateRequest::kRequested);
  EXPECT_EQ(status_of_read(), IoStatus::kWantRead);
  const std::size_t one_answer = stream.unsent_bytes();
  EXPECT_EQ(one_answer, 5 + kRecordOverheadBytes);
  for (int i = 0; i < 50; ++i) {
    send_key_update(KeyUpdateRequest::kRequested);
    EXPECT_EQ(status_of_read(), IoStatus::kWantRead);
    EXPECT_EQ(stream.unsent_bytes(), one_answer);
  }
}

TEST_F(RecordStreamTest, QueuesBehindAnAnswerThatTheSocketDidNotTake) {
  fill_our_socket();
  send_key_update(KeyUpdateRequest::kRequested);
  EXPECT_EQ(status_of_read(), IoStatus::kWantRead);
  EXPECT_GT(stream.unsent_bytes(), 0u);
  EXPECT_EQ(write("behind"), IoStatus::kWantWrite);
  sent();
  EXPECT_EQ(stream.flush(), IoStatus::kDone);
  EXPECT_EQ(text_sent(), "behind");
}

TEST_F(RecordStreamTest, AnswersNoKeyUpdateOnceItHasEnded) {
  EXPECT_EQ(stream.end_writing(), IoStatus::kDone);
  EXPECT_EQ(open_sent().status, RecordOpener::Status::kEnded);
  send_key_update(KeyUpdateRequest::kRequested);
  send_data("x");
  EXPECT_EQ(text_read(), "x");
  EXPECT_TRUE(sent().empty());
}

TEST_F(RecordStreamTest, EndsInAStormOfKeyUpdates) {
  for (std::uint32_t i = 0; i < 2 * MessageBudget::kPerSecond; ++i)
    send_key_update(KeyUpdateRequest::kRequested);
  expect_failure(FailureKind::kFlood, static_cast<int>(Alert::kUnexpectedMessage));
}

TEST_F(RecordStreamTest, TellsHowManyKeyUpdatesCameWithARead) {
  send_key_update(KeyUpdateRequest::kNotRequested);
  send_key_update(KeyUpdateRequest::kRequested);
  send_data("x");
  ByteVector room(kMaxRecordContentBytes);
  ReadResult result = stream.read(room);
  EXPECT_EQ(result.size_bytes, 1u);
  EXPECT_EQ(result.key_updates, 2);
  send_key_update(KeyUpdateRequest::kRequested);
  result = stream.read(room);
  EXPECT_EQ(result.status, IoStatus::kWantRead);
  EXPECT_EQ(result.key_updates, 1);
}

TEST_F(RecordStreamTest, SendsSmallRecordsFirstAndLargeOnesLater) {
  ASSERT_EQ(write(std::string(100'000, 'x')), IoStatus::kDone);
  const ByteVector records = sent();
  EXPECT_EQ(record_size_bytes(records), RecordSizing::kSegmentRecordBytes + kRecordOverheadBytes);
  ASSERT_EQ(write(std::string(100'000, 'y')), IoStatus::kDone);
  EXPECT_EQ(record_size_bytes(sent()), kMaxRecordBytes);
}

TEST_F(RecordStreamTest, TakesAWholeWriteAtOnce) {
  std::string text(kMaxWriteBytes, 'x');
  text.back() = 'y';
  ASSERT_EQ(write(text), IoStatus::kDone);
  EXPECT_EQ(text_sent(), text);
}

TEST_F(RecordStreamTest, KeepsWhatTheSocketDoesNotTake) {
  fill_our_socket();
  ASSERT_EQ(write("first"), IoStatus::kWantWrite);
  EXPECT_EQ(stream.unsent_bytes(), 5 + kRecordOverheadBytes);
  EXPECT_EQ(stream.flush(), IoStatus::kWantWrite);
  EXPECT_EQ(stream.end_writing(), IoStatus::kWantWrite);
  sent();
  EXPECT_EQ(stream.end_writing(), IoStatus::kDone);
  EXPECT_EQ(stream.unsent_bytes(), 0u);
  const auto result = open_sent();
  EXPECT_EQ(result.status, RecordOpener::Status::kEnded);
  EXPECT_EQ(string_of(std::span(opened).first(result.produced_bytes)), "first");
}

TEST_F(RecordStreamTest, EndsWithCloseNotifyThenFin) {
  EXPECT_EQ(stream.end_writing(), IoStatus::kDone);
  EXPECT_EQ(stream.end_writing(), IoStatus::kDone);
  EXPECT_EQ(open_sent().status, RecordOpener::Status::kEnded);
  std::byte byte;
  EXPECT_EQ(::read(peer_fd(), &byte, 1), 0);
}

TEST_F(RecordStreamTest, FailsToWriteToAPeerThatIsGoneButReadsItsLastWords) {
  send_data("last words");
  sockets.theirs.close();
  EXPECT_EQ(write("x"), IoStatus::kFailed);
  EXPECT_EQ(stream.failure().kind, FailureKind::kReset);
  EXPECT_EQ(text_read(), "last words");
}

TEST_F(RecordStreamTest, UpdatesItsKeysBeforeTheyWearOut) {
  SocketPair pair;
  RecordStreamState state = fresh_state(std::move(pair.ours));
  state.sending.sequence_number = RecordProtector::kRecordsPerKey - 1;
  RecordOpener opener(worker.contexts, TlsRole::kServer, clone(state.sending));
  RecordStream worn(std::move(state), worker.buffers, worker.contexts);
  sockets.theirs = std::move(pair.theirs);
  for (const char* text : {"old", "new", "on"}) {
    ASSERT_EQ(worn.write(text_bytes(text)), IoStatus::kDone);
    const auto result = opener.open(sent(), opened);
    EXPECT_EQ(string_of(std::span(opened).first(result.produced_bytes)), text);
  }
  EXPECT_EQ(opener.state().sequence_number, 2u);
}

TEST_F(RecordStreamTest, MovesToAnotherWorkerWithHalfARecordAndUnsentBytes) {
  const ByteVector record = seal_data(peer_sealer, "halved");
  send({record.begin(), record.begin() + 9});
  EXPECT_EQ(status_of_read(), IoStatus::kWantRead);
  fill_our_socket();
  EXPECT_EQ(write("unsent "), IoStatus::kWantWrite);
  ASSERT_TRUE(stream.is_movable());
  TestWorker elsewhere;
  RecordStream moved(stream.take_state(), elsewhere.buffers, elsewhere.contexts);
  sent();
  send({record.begin() + 9, record.end()});
  const ReadResult result = moved.read(into);
  EXPECT_EQ(string_of(std::span(into).first(result.size_bytes)), "halved");
  EXPECT_EQ(moved.write(text_bytes("and more")), IoStatus::kDone);
  EXPECT_EQ(text_sent(), "unsent and more");
}

TEST_F(RecordStreamTest, IsNotMovableOnceADirectionEnded) {
  EXPECT_TRUE(stream.is_movable());
  EXPECT_EQ(stream.end_writing(), IoStatus::kDone);
  EXPECT_FALSE(stream.is_movable());
}

TEST_F(RecordStreamTest, BeginsWithWhatWasReceivedBefore) {
  SocketPair pair;
  RecordStreamState state = fresh_state(std::move(pair.ours));
  std::string expected;
  for (int i = 0; i < 5; ++i) {
    const std::string text(9'000, static_cast<char>('a' + i));
    append(state.received, seal_data(peer_sealer, text));
    expected += text;
  }
  const ByteVector last = seal_data(peer_sealer, "last");
  append(state.received, std::span(last).first(3));
  RecordStream begun(std::move(state), worker.buffers, worker.contexts);
  std::string text;
  while (begun.has_buffered()) {
    const ReadResult result = begun.read(std::span(into).first(kMaxRecordContentBytes));
    ASSERT_EQ(result.status, IoStatus::kDone);
    text += string_of(std::span(into).first(result.size_bytes));
  }
  EXPECT_EQ(text, expected);
  ASSERT_EQ(::write(pair.theirs.number(), last.data() + 3, last.size() - 3),
            static_cast<ssize_t>(last.size() - 3));
  const ReadResult result = begun.read(into);
  EXPECT_EQ(string_of(std::span(into).first(result.size_bytes)), "last");
}

TEST_F(RecordStreamTest, SendsWhatWasHeldBackInFrontOfTheFirstWrite) {
  for (const bool by_write : {true, false}) {
    SocketPair pair;
    RecordStreamState state = fresh_state(std::move(pair.ours));
    state.unsent = text_bytes("tickets");
    RecordStream begun(std::move(state), worker.buffers, worker.contexts);
    EXPECT_EQ(begun.unsent_bytes(), 7u);
    EXPECT_EQ(by_write ? begun.write(text_bytes("x")) : begun.flush(), IoStatus::kDone);
    EXPECT_EQ(begun.unsent_bytes(), 0u);
    sockets.theirs = std::move(pair.theirs);
    EXPECT_EQ(string_of(sent()).substr(0, 7), "tickets");
  }
}

}  // namespace
}  // namespace headgate
