#include "connection/fixture.h"

namespace headgate::test {
namespace {

TEST_F(RelayTest, MovesBytesBothWaysAndFinishesWhenBothSidesHaveEnded) {
  start_relay();
  client->sends("question");
  server->sends("answer");
  wake();
  EXPECT_EQ(server->written, "question");
  EXPECT_EQ(client->written, "answer");
  EXPECT_EQ(connection->info().bytes_from_client, 8U);
  EXPECT_EQ(connection->info().bytes_to_client, 6U);
  client->leaves();
  server->leaves();
  wake();
  EXPECT_END("finished");
}

TEST_F(RelayTest, KeepsTheWayToTheClientOpenWhenTheClientHasEnded) {
  start_relay();
  client->sends("question");
  client->leaves();
  wake();
  EXPECT_TRUE(server->ended);
  EXPECT_FALSE(client->ended);
  server->sends("late answer");
  server->leaves();
  wake();
  EXPECT_EQ(client->written, "late answer");
  EXPECT_TRUE(client->ended);
  EXPECT_END("finished");
}

TEST_F(RelayTest, KeepsTheWayToTheBackendOpenWhenTheBackendHasEnded) {
  start_relay();
  server->sends("answer");
  server->leaves();
  wake();
  EXPECT_EQ(client->written, "answer");
  EXPECT_TRUE(client->ended);
  EXPECT_FALSE(server->ended);
  client->sends("late question");
  client->leaves();
  wake();
  EXPECT_EQ(server->written, "late question");
  EXPECT_END("finished");
}

TEST_F(RelayTest, TellsAnEndOnlyAfterAllBytesBeforeIt) {
  client->flushes = {IoStatus::kWantWrite};
  client->writes = {IoStatus::kWantWrite};
  start_relay();
  server->sends("answer");
  server->leaves();
  wake();
  wake();
  EXPECT_FALSE(client->ended);
  wake();
  EXPECT_EQ(client->written, "answer");
  EXPECT_TRUE(client->ended);
}

TEST_F(RelayTest, DoesNotReadTheBackendWhileTheClientIsSlow) {
  start_relay();
  client->writes = {IoStatus::kWantWrite};
  client->flushes = {IoStatus::kWantWrite};
  server->comes({IoStatus::kDone, std::string(kMaxWriteBytes, 'a')});
  server->sends("and more");
  wake();
  EXPECT_EQ(connection->waiting().client, Interest::kBoth);
  EXPECT_EQ(connection->waiting().backend, Interest::kNone);
  wake();
  EXPECT_EQ(server->bytes_read, kMaxWriteBytes);
  EXPECT_LE(client->most_kept_bytes, kMaxWriteBytes);
  wake();
  EXPECT_EQ(client->written.size(), kMaxWriteBytes + 8);
  EXPECT_EQ(connection->waiting().backend, Interest::kRead);
}

TEST_F(RelayTest, DoesNotReadTheClientWhileTheBackendIsSlow) {
  start_relay();
  server->writes = {IoStatus::kWantWrite};
  server->flushes = {IoStatus::kWantWrite};
  client->comes({IoStatus::kDone, std::string(kMaxWriteBytes, 'a')});
  client->sends("and more");
  wake();
  EXPECT_EQ(connection->waiting().client, Interest::kNone);
  EXPECT_EQ(connection->waiting().backend, Interest::kBoth);
  wake();
  EXPECT_EQ(client->bytes_read, kMaxWriteBytes);
  EXPECT_LE(server->most_kept_bytes, kMaxWriteBytes);
  wake();
  EXPECT_EQ(server->written.size(), kMaxWriteBytes + 8);
}

TEST_F(RelayTest, ASlowClientDoesNotStopTheOtherDirection) {
  start_relay();
  client->writes = {IoStatus::kWantWrite};
  client->flushes = {IoStatus::kWantWrite, IoStatus::kWantWrite};
  server->sends("answer");
  wake();
  client->sends("question");
  wake();
  EXPECT_EQ(server->written, "question");
  EXPECT_EQ(client->written, "");
}

TEST_F(RelayTest, LetsOthersHaveTheirTurnAfterABoundedNumberOfBytes) {
  start_relay();
  constexpr std::size_t kTurnBytes = 256 * 1024;
  client->buffered = true;
  client->sends(std::string(3 * kTurnBytes, 'a'));
  wake();
  EXPECT_EQ(server->written.size(), kTurnBytes);
  EXPECT_EQ(host.called_again, 1);
  connection->resume();
  connection->resume();
  EXPECT_EQ(server->written.size(), 3 * kTurnBytes);
}

TEST_F(RelayTest, LetsOthersHaveTheirTurnAfterAFewReadsHoweverLittleTheyBring) {
  start_relay();
  client->buffered = true;
  for (int i = 0; i < 100; ++i) client->sends("x");
  wake();
  EXPECT_EQ(server->written, "xxx");
  EXPECT_EQ(host.called_again, 1);
  connection->resume();
  EXPECT_EQ(server->written, "xxxxxx");
}

TEST_F(RelayTest, ABackendsResetReachesTheClientAsAReset) {
  start_relay();
  server->sends("half an ans");
  server->breaks(FailureKind::kReset);
  wake();
  wake();
  EXPECT_TRUE(client->reset);
  EXPECT_FALSE(client->ended);
  EXPECT_END("backend_reset");
}

TEST_F(RelayTest, AClientsResetReachesTheBackendAsAReset) {
  start_relay();
  client->breaks(FailureKind::kReset);
  wake();
  EXPECT_TRUE(server->reset);
  EXPECT_FALSE(server->ended);
  EXPECT_END("client_reset");
}

TEST_F(RelayTest, AResetFoundByWritingCountsLikeOneFoundByReading) {
  start_relay();
  client->failure.kind = FailureKind::kReset;
  client->writes = {IoStatus::kFailed};
  server->sends("answer");
  wake();
  EXPECT_TRUE(server->reset);
  EXPECT_END("client_reset");
}

// The client's second piece is still unread when a write to it fails.
TEST_F(RelayTest, WhatAPeerHadSentBeforeItBrokeIsCountedAsAllElse) {
  start_relay();
  server->writes = {IoStatus::kWantWrite};
  client->sends("first, ");
  wake();
  server->flushes = {IoStatus::kWantWrite};
  client->comes({.status = IoStatus::kDone, .bytes = "second", .drained = true, .key_updates = 3});
  client->failure.kind = FailureKind::kReset;
  client->writes = {IoStatus::kFailed};
  server->sends("answer");
  wake();
  connection->resume();
  EXPECT_EQ(server->written, "first, second");
  EXPECT_EQ(connection->info().bytes_from_client, server->written.size());
  const ListenerMetrics& counted = metrics.listener(0, listener().name);
  EXPECT_EQ(counted.bytes[static_cast<std::size_t>(Direction::kFromClient)].value(), server->written.size());
  EXPECT_EQ(counted.key_updates[static_cast<std::size_t>(Side::kClient)].value(), 3U);
  EXPECT_END("client_reset");
}

TEST_F(RelayTest, APeerThatTheKernelGaveUpOnCountsAsReset) {
  start_relay();
  server->breaks(FailureKind::kTimedOut);
  wake();
  EXPECT_TRUE(client->reset);
  EXPECT_END("backend_reset");
}

TEST_F(RelayTest, ATruncatedResponseNeverLooksWhole) {
  start_relay();
  server->without_notice = true;
  server->sends("half an ans");
  server->leaves();
  wake();
  EXPECT_TRUE(client->reset);
  EXPECT_FALSE(client->ended);
  EXPECT_END("backend_truncated");
}

TEST_F(RelayTest, AClientThatEndsWithoutCloseNotifyStillGetsItsAnswer) {
  start_relay();
  client->without_notice = true;
  client->leaves();
  wake();
  server->sends("answer");
  server->leaves();
  wake();
  EXPECT_EQ(client->written, "answer");
  EXPECT_END("client_truncated");
}

TEST_F(RelayTest, ARecordCutInTheMiddleEndsTheConnection) {
  start_relay();
  client->breaks(FailureKind::kTruncated);
  wake();
  EXPECT_TRUE(server->reset);
  EXPECT_END("client_truncated");
}

TEST_F(RelayTest, NamesTheClientThatBreaksTls) {
  start_relay();
  client->breaks(FailureKind::kProtocol);
  wake();
  EXPECT_END("client_protocol_error");
}

TEST_F(RelayTest, NamesTheBackendThatSendsAFatalAlert) {
  start_relay();
  server->breaks(FailureKind::kPeerAlert);
  wake();
  EXPECT_END("backend_protocol_error");
}

TEST_F(RelayTest, AFaultOfTheSystemIsNobodysElse) {
  start_relay();
  server->breaks(FailureKind::kSystem);
  wake();
  EXPECT_END("internal");
}

TEST_F(RelayTest, EndsWhenNothingMovesForTheIdleTime) {
  listener().timeouts.idle = 60s;
  start_relay();
  pass(59s);
  EXPECT_FALSE(connection->is_buried());
  client->sends("a byte");
  wake();
  pass(59s);
  EXPECT_FALSE(connection->is_buried());
  pass(1s);
  EXPECT_END("idle_timeout");
}

TEST_F(RelayTest, EndsAHalfClosedConnectionSooner) {
  listener().timeouts.half_close = 10s;
  start_relay();
  client->leaves();
  wake();
  pass(9s);
  server->sends("still talking");
  wake();
  pass(9s);
  EXPECT_FALSE(connection->is_buried());
  pass(1s);
  EXPECT_END("half_close_timeout");
}

/// A client that must take 10 bytes a second, and that does not read.
class SlowReaderTest : public RelayTest {
 protected:
  SlowReaderTest() { listener().limits.read_bytes_per_second = 10; }
  void bytes_wait(std::size_t size) {
    client->writes = {IoStatus::kWantWrite};
    server->sends(std::string(size, 'a'));
    wake();
    ASSERT_EQ(client->kept.size(), size);
  }
};

TEST_F(SlowReaderTest, IsCutWhenItHasTakenTooLittleForThirtySeconds) {
  start_relay();
  pass(1min);
  bytes_wait(1000);
  pass(30s - 1ms);
  EXPECT_EQ(phase(), "relay");
  pass(1ms);
  EXPECT_TRUE(client->reset);
  EXPECT_TRUE(server->reset);
  EXPECT_END("slow_reader");
}

TEST_F(SlowReaderTest, IsCutForFewBytesToo) {
  start_relay();
  bytes_wait(1);
  pass(30s);
  EXPECT_END("slow_reader");
}

TEST_F(SlowReaderTest, IsNotOneThatTakesAllThatIsThere) {
  start_relay();
  for (int i = 0; i < 5; ++i) {
    bytes_wait(1);
    pass(29s);
    wake();
    ASSERT_EQ(client->kept.size(), 0U);
    bytes_wait(1);
    pass(1s);
    ASSERT_EQ(phase(), "relay") << "these bytes have waited for a second";
    wake();
    pass(30s);
  }
  EXPECT_EQ(phase(), "relay");
}

TEST_F(SlowReaderTest, IsNotOneThatWasSentNothing) {
  start_relay();
  for (int i = 0; i < 8; ++i) pass(30s);
  EXPECT_EQ(phase(), "relay");
}

TEST_F(SlowReaderTest, GoesOnWhereTheLimitIsOff) {
  listener().limits.read_bytes_per_second = 0;
  start_relay();
  bytes_wait(1000);
  pass(listener().timeouts.idle - 1ms);
  EXPECT_EQ(phase(), "relay");
  EXPECT_EQ(std::get<Relay>(connection->phase()).reader, nullptr);
}

TEST_F(RelayTest, EndsABusyConnectionWhenItsLifetimeIsOver) {
  listener().timeouts.lifetime = 100s;
  start_relay();
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(connection->is_buried());
    client->sends("busy");
    wake();
    pass(10s);
  }
  EXPECT_END("lifetime");
}

TEST_F(RelayTest, WaitsUntilTheEndCanBeSent) {
  start_relay();
  server->ends = {IoStatus::kWantWrite};
  client->leaves();
  wake();
  EXPECT_FALSE(server->ended);
  EXPECT_TRUE(includes(connection->waiting().backend, Interest::kWrite));
  wake();
  EXPECT_TRUE(server->ended);
}

TEST_F(RelayTest, FlushesHeldBackTicketsWhenNothingElseGoesToTheClient) {
  start_relay();
  client->holds_back = true;
  connection->flush_held_back();
  EXPECT_FALSE(client->holds_back);
  EXPECT_EQ(phase(), "relay");
}

TEST_F(RelayTest, ADrainEndsItOnceOnly) {
  start_relay();
  connection->end(CloseReason::kDrained);
  connection->end(CloseReason::kCut);
  connection->resume();
  EXPECT_END("drained");
}

TEST_F(RelayTest, LettingGoForAHandoverTouchesNeitherPeer) {
  start_relay();
  connection->release();
  EXPECT_FALSE(client->ended || client->reset || server->ended || server->reset);
  EXPECT_END("moved");
}

TEST_F(RelayTest, GivesItsServerBackWhenItEnds) {
  start_relay();
  const auto& active = metrics.server(0, "app", transport.dialled.front()).active;
  EXPECT_EQ(active.value(), 1);
  connection->end(CloseReason::kCut);
  EXPECT_EQ(active.value(), 0);
}

// When this process and the next one both sent the session tickets, the client got them twice and ended the
// connection.
TEST_F(RelayTest, SendsNothingThatIsHeldBackWhileItRests) {
  start_relay();
  client->holds_back = true;
  connection->quiesce();
  connection->flush_held_back();
  EXPECT_TRUE(client->holds_back);
  const int asked_before = host.flushes_asked;
  connection->wake();
  EXPECT_EQ(host.flushes_asked, asked_before + 1);
  connection->flush_held_back();
  EXPECT_FALSE(client->holds_back);
}

}  // namespace
}  // namespace headgate::test
