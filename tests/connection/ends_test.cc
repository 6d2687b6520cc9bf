#include "connection/ends.h"

#include <poll.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <sstream>

#include "checkout/checkout.h"
#include "connection/far_peer.h"
#include "connection/fixture.h"
#include "tls/handshake/tls_stream.h"
#include "unit/tls/which_library.h"

namespace headgate::test {
namespace {

constexpr auto kPatience = 30s;

/// Whether the peer reads at once, or little by little, and not before the other one has ended.
enum class Reader : std::uint8_t { kFast, kSlow };

/// A connection in relay over two real TCP connections.
class EndsTest : public RelayTest {
 protected:
  EndsTest() { std::signal(SIGPIPE, SIG_IGN); }
  // The streams use the members of this class.
  ~EndsTest() override { connection.reset(); }

  /// Connects both sides; the buffers towards `slow` are small.
  void connect(Layer client_layer, Layer backend_layer, Side slow = Side::kNone) {
    const StreamWorker worker{.buffers = buffers, .contexts = contexts};
    host.time = Clock::now() + ahead;
    Pair one = make_pair(client_layer, Side::kClient, slow == Side::kClient, worker);
    Pair other = make_pair(backend_layer, Side::kBackend, slow == Side::kBackend, worker);
    far_client = std::move(one.peer);
    far_backend = std::move(other.peer);
    start_relay_over(std::move(one.stream), std::move(other.stream));
  }

  [[nodiscard]] FarPeer& peer(Side side) { return side == Side::kClient ? *far_client : *far_backend; }

  /// One turn of the loop at the present time.
  void turn() {
    far_client->turn();
    far_backend->turn();
    host.time = Clock::now() + ahead;
    const int called_before = host.called_again;
    loop.run_once();
    if (connection->is_buried()) return;
    connection->deadline_passed();
    if (host.called_again > called_before) connection->resume();
  }
  void turns(int count) {
    for (int i = 0; i < count; ++i) turn();
  }
  /// Turns until `is_so`, while the peers read as their readers do.
  void turn_until(const std::function<bool()>& is_so, std::size_t client_bytes, std::size_t backend_bytes) {
    for (const TimePoint until = Clock::now() + kPatience; !is_so();) {
      ASSERT_LT(Clock::now(), until) << "in phase " << phase();
      turn();
      far_client->hear(client_bytes);
      far_backend->hear(backend_bytes);
      ::poll(nullptr, 0, 1);
    }
  }
  void turn_until_over(Side side, Reader reader) {
    const std::size_t step = reader == Reader::kFast ? 1 << 16 : 2000;
    turn_until([&] { return peer(side).is_over(); }, side == Side::kClient ? step : 1 << 16,
               side == Side::kBackend ? step : 1 << 16);
  }
  /// Turns until the connection is gone. The peers leave when they see an end.
  void turn_until_buried() {
    turn_until(
        [&] {
          for (const Side side : {Side::kClient, Side::kBackend}) {
            if (peer(side).is_over()) peer(side).leave();
          }
          return connection->is_buried();
        },
        1 << 16, 1 << 16);
  }

  /// Expects that the peer of `side` got exactly `bytes` and the end that the table says for `cause`.
  void expect_end(Side side, EndCause cause, Layer layer, const std::string& bytes) {
    const bool tls = layer != Layer::kPlain;
    const PeerKind kind = side == Side::kClient ? (tls ? PeerKind::kTlsClient : PeerKind::kPlainClient)
                                                : (tls ? PeerKind::kTlsBackend : PeerKind::kPlainBackend);
    const Farewell wanted = row(cause).farewell(kind);
    const FarPeer& one = peer(side);
    EXPECT_EQ(one.received.size(), bytes.size());
    EXPECT_TRUE(one.received == bytes);
    EXPECT_EQ(one.seen(), wanted);
    if (wanted != Farewell::kAlert) return;
    // OpenSSL sends no other alert than internal_error.
    const bool only_internal = (layer == Layer::kOpenssl13 || layer == Layer::kOpenssl12) && !is_on_awslc();
    EXPECT_EQ(one.alert, static_cast<int>(only_internal ? Alert::kInternalError : row(cause).alert));
  }

  /// Calls `check` with pairs of layers, for a slow reader on `side` and a fast one: each layer meets itself
  /// and plaintext. Two plain sides also meet while their bytes are spliced.
  void for_all_layers(Side side,
                      const std::function<void(Layer at_client, Layer at_backend, Reader)>& check) {
    for (const Layer at_client : kLayers) {
      for (const Layer at_backend : kLayers) {
        const bool any_is_plain = at_client == Layer::kPlain || at_backend == Layer::kPlain;
        if (at_client != at_backend && !any_is_plain) continue;
        for_both_readers(side, at_client, at_backend, check);
      }
    }
    spliced = true;
    for_both_readers(side, Layer::kPlain, Layer::kPlain, check);
    spliced = false;
  }
  void for_both_readers(Side side, Layer at_client, Layer at_backend,
                        const std::function<void(Layer at_client, Layer at_backend, Reader)>& check) {
    for (const Reader reader : {Reader::kFast, Reader::kSlow}) {
      if (HasFatalFailure()) return;
      std::ostringstream trace;
      trace << "client: " << at_client << ", backend: " << at_backend << (spliced ? ", spliced, " : ", ")
            << (side == Side::kClient ? "client " : "backend ")
            << (reader == Reader::kFast ? "fast" : "slow");
      SCOPED_TRACE(trace.str());
      check(at_client, at_backend, reader);
    }
  }

  std::unique_ptr<LibraryContext> library_context{*LibraryContext::make()};
  AeadContexts contexts{library_context.get()};
  std::unique_ptr<FarPeer> far_client, far_backend;
  Duration ahead{};  ///< How far a test has moved the clock.
};

/// The ways in which a peer breaks off after it has sent something.
struct Break {
  const char* name;
  void (FarPeer::*end)();
  EndCause cause;
  bool needs_tls;
};
constexpr Break kBreaks[] = {
    {"a reset", &FarPeer::reset, EndCause::kOtherBrokeOff, false},
    {"a FIN in a record", &FarPeer::end_in_a_record, EndCause::kOtherBrokeOff, true},
    {"a fatal alert", &FarPeer::end_with_alert, EndCause::kOtherBrokeOff, true},
    {"a bad record", &FarPeer::end_with_a_bad_record, EndCause::kOtherBrokeOff, true},
};

Side other(Side side) {
  return side == Side::kClient ? Side::kBackend : Side::kClient;
}

/// Something that does not fit into the small buffers, and into one record.
std::string many_bytes(std::size_t size = 60'000) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 2654435761U >> 13U);
  return bytes;
}

Layer layer_of(Side side, Layer at_client, Layer at_backend) {
  return side == Side::kClient ? at_client : at_backend;
}

class EndsOfBothSidesTest : public EndsTest, public testing::WithParamInterface<Side> {};

// The heart of it: the bytes and the break are with our kernel before the relay sees any of them, and the
// other side is slow.
TEST_P(EndsOfBothSidesTest, EveryByteBeforeABreakIsDelivered) {
  const Side to = GetParam(), from = other(to);
  const std::string bytes = many_bytes();
  for (const Break& how : kBreaks) {
    SCOPED_TRACE(how.name);
    for_all_layers(to, [&](Layer at_client, Layer at_backend, Reader reader) {
      const Layer broken = layer_of(from, at_client, at_backend);
      if (how.needs_tls && broken == Layer::kPlain) return;
      connect(at_client, at_backend, reader == Reader::kSlow ? to : Side::kNone);
      peer(from).send(bytes);
      (peer(from).*how.end)();
      if (reader == Reader::kSlow) turns(20);
      turn_until_over(to, reader);
      expect_end(to, how.cause, layer_of(to, at_client, at_backend), bytes);
      turn_until_buried();
    });
  }
}

// A write to the side that has reset finds the reset first, while the bytes are still unread.
TEST_P(EndsOfBothSidesTest, EveryByteBeforeAResetThatAWriteFindsIsDelivered) {
  const Side to = GetParam(), from = other(to);
  const std::string bytes = many_bytes();
  for_all_layers(to, [&](Layer at_client, Layer at_backend, Reader reader) {
    connect(at_client, at_backend, reader == Reader::kSlow ? to : Side::kNone);
    turns(2);
    peer(from).send(bytes);
    peer(to).send("more of the question");
    peer(from).reset();
    if (reader == Reader::kSlow) turns(20);
    turn_until_over(to, reader);
    expect_end(to, EndCause::kOtherBrokeOff, layer_of(to, at_client, at_backend), bytes);
    turn_until_buried();
  });
}

TEST_P(EndsOfBothSidesTest, AnEndInOrderIsOneForTheOtherSide) {
  const Side to = GetParam(), from = other(to);
  const std::string bytes = many_bytes();
  for_all_layers(to, [&](Layer at_client, Layer at_backend, Reader reader) {
    connect(at_client, at_backend, reader == Reader::kSlow ? to : Side::kNone);
    peer(from).send(bytes);
    peer(from).end_in_order();
    if (reader == Reader::kSlow) turns(20);
    turn_until_over(to, reader);
    expect_end(to, EndCause::kOtherEnded, layer_of(to, at_client, at_backend), bytes);
    peer(to).end_in_order();
    turn_until([&] { return connection->is_buried(); }, 1 << 16, 1 << 16);
    EXPECT_EQ(connection->close_reason(), CloseReason::kFinished);
  });
}

/// The ends that may lie behind bytes of which nothing is read yet.
struct LateEnd {
  void (FarPeer::*end)();
  EndCause from_client, from_backend;
};
constexpr LateEnd kLateEnds[] = {
    {&FarPeer::end_in_order, EndCause::kOtherEnded, EndCause::kOtherEnded},
    {&FarPeer::end_cut_short, EndCause::kClientCutShort, EndCause::kBackendCutShort},
};

// A server has answered a slow client, closes, and resets an upload that goes on. The last bytes of its
// answer are still in our kernel, and the end behind them: the read of these bytes does not see the end.
TEST_P(EndsOfBothSidesTest, AnEndBehindUnreadBytesIsKeptAlsoWhenAWriteFindsAReset) {
  const Side to = GetParam(), from = other(to);
  const std::string bytes = many_bytes(), last = "the last bytes";
  for (const LateEnd& how : kLateEnds) {
    for_all_layers(to, [&](Layer at_client, Layer at_backend, Reader reader) {
      const bool plain = layer_of(from, at_client, at_backend) == Layer::kPlain;
      const LateEnd& late = plain ? kLateEnds[0] : how;
      connect(at_client, at_backend, reader == Reader::kSlow ? to : Side::kNone);
      peer(from).send(bytes);
      turns(20);
      peer(from).send(last);
      (peer(from).*late.end)();
      peer(from).reset();
      peer(to).send("the other direction goes on");
      turn_until_over(to, reader);
      const EndCause cause = from == Side::kClient ? late.from_client : late.from_backend;
      expect_end(to, cause, layer_of(to, at_client, at_backend), bytes + last);
      turn_until_buried();
    });
  }
}

// What one side was told stays true, whatever happens to the other direction later.
TEST_P(EndsOfBothSidesTest, ADirectionThatHasEndedInOrderStaysSoWhenItsSourceResetsLater) {
  const Side to = GetParam(), from = other(to);
  const std::string bytes = many_bytes(100'000);
  for_all_layers(to, [&](Layer at_client, Layer at_backend, Reader reader) {
    connect(at_client, at_backend, reader == Reader::kSlow ? to : Side::kNone);
    peer(from).send(bytes);
    turn_until([&] { return !peer(from).has_to_send(); }, reader == Reader::kFast ? 1 << 16 : 0, 1 << 16);
    peer(from).end_in_order();
    if (reader == Reader::kFast) turns(20);
    peer(to).send("the other direction goes on");
    turns(20);
    peer(from).reset();
    peer(to).send("and on");
    turns(20);
    turn_until_over(to, reader);
    expect_end(to, EndCause::kOtherEnded, layer_of(to, at_client, at_backend), bytes);
    turn_until_buried();
  });
}

TEST_P(EndsOfBothSidesTest, AFinWithoutCloseNotifyBetweenTwoRecords) {
  const Side to = GetParam(), from = other(to);
  const EndCause cause = from == Side::kClient ? EndCause::kClientCutShort : EndCause::kBackendCutShort;
  const std::string bytes = many_bytes();
  for_all_layers(to, [&](Layer at_client, Layer at_backend, Reader reader) {
    if (layer_of(from, at_client, at_backend) == Layer::kPlain) return;
    connect(at_client, at_backend, reader == Reader::kSlow ? to : Side::kNone);
    peer(from).send(bytes);
    peer(from).end_cut_short();
    if (reader == Reader::kSlow) turns(20);
    turn_until_over(to, reader);
    expect_end(to, cause, layer_of(to, at_client, at_backend), bytes);
    peer(to).end_in_order();
    turn_until([&] { return connection->is_buried(); }, 1 << 16, 1 << 16);
    EXPECT_EQ(connection->close_reason(),
              from == Side::kClient ? CloseReason::kClientTruncated : CloseReason::kBackendTruncated);
  });
}

INSTANTIATE_TEST_SUITE_P(To, EndsOfBothSidesTest, testing::Values(Side::kClient, Side::kBackend),
                         [](const auto& one) { return one.param == Side::kClient ? "Client" : "Backend"; });

/// Ends of our own.
struct OwnEnd {
  CloseReason reason;
  EndCause cause;
};
constexpr OwnEnd kOwnEnds[] = {
    {CloseReason::kLifetime, EndCause::kCut},
    {CloseReason::kClientRevoked, EndCause::kRevoked},
    {CloseReason::kClientExpired, EndCause::kExpired},
    {CloseReason::kClientUntrusted, EndCause::kNotAllowed},
};

TEST_P(EndsOfBothSidesTest, ACutComesBehindEveryByteThatWasReceived) {
  const Side to = GetParam(), from = other(to);
  const std::string bytes = many_bytes();
  for (const OwnEnd& how : kOwnEnds) {
    SCOPED_TRACE(name(how.reason));
    for_all_layers(to, [&](Layer at_client, Layer at_backend, Reader reader) {
      connect(at_client, at_backend, reader == Reader::kSlow ? to : Side::kNone);
      peer(from).send(bytes);
      const auto all_are_in = [&] {
        const ConnectionInfo& info = connection->info();
        return (from == Side::kClient ? info.bytes_from_client : info.bytes_to_client) == bytes.size();
      };
      turn_until(all_are_in, to == Side::kClient ? 2000 : 0, to == Side::kBackend ? 2000 : 0);
      connection->end(how.reason);
      turn_until_over(to, reader);
      expect_end(to, how.cause, layer_of(to, at_client, at_backend), bytes);
      turn_until([&] { return peer(from).is_over(); }, 1 << 16, 1 << 16);
      expect_end(from, how.cause, layer_of(from, at_client, at_backend), "");
      turn_until_buried();
      EXPECT_EQ(connection->close_reason(), how.reason);
    });
  }
}

TEST_F(EndsTest, AConnectionAtRestIsEndedInOrderOnBothSides) {
  for (const CloseReason reason : {CloseReason::kIdleTimeout, CloseReason::kDrained}) {
    for_all_layers(Side::kClient, [&](Layer at_client, Layer at_backend, Reader) {
      listener().timeouts.idle = 1h;
      connect(at_client, at_backend);
      peer(Side::kClient).send("question");
      peer(Side::kBackend).send("answer");
      turn_until([&] { return far_client->received == "answer" && far_backend->received == "question"; },
                 1 << 16, 1 << 16);
      turn_until([&] { return connection->is_delivered(); }, 0, 0);
      if (reason == CloseReason::kDrained) connection->end_at_rest(reason);
      if (reason == CloseReason::kIdleTimeout) ahead += 2h;
      turn_until([&] { return far_client->is_over() && far_backend->is_over(); }, 1 << 16, 1 << 16);
      expect_end(Side::kClient, EndCause::kAtRest, at_client, "answer");
      expect_end(Side::kBackend, EndCause::kAtRest, at_backend, "question");
      EXPECT_TRUE(connection->is_buried());
    });
  }
}

// The idle time is over although bytes are under way: their reader has not taken them.
TEST_F(EndsTest, IdleWithBytesThatThePeerDoesNotTakeIsACut) {
  listener().timeouts.idle = 1h;
  listener().timeouts.shutdown = 1min;
  for_all_layers(Side::kClient, [&](Layer at_client, Layer at_backend, Reader) {
    connect(at_client, at_backend, Side::kClient);
    far_backend->send(many_bytes());
    turn_until([&] { return !connection->is_delivered(); }, 0, 0);
    turns(50);
    ahead += 2h;
    turn_until([&] { return far_backend->is_over(); }, 0, 1 << 16);
    expect_end(Side::kBackend, EndCause::kCut, at_backend, "");
    turns(50);
    EXPECT_FALSE(connection->is_buried()) << "the client may still take its bytes";
    ahead += 2min;
    turn_until([&] { return connection->is_buried(); }, 0, 0);
    EXPECT_EQ(connection->close_reason(), CloseReason::kIdleTimeout);
    turn_until([&] { return far_client->is_over(); }, 1 << 16, 0);
    EXPECT_NE(far_client->seen(), Farewell::kInOrder) << "a peer that reads late must see the cut";
  });
}

/// Clients that must take 100 bytes a second.
class SlowReaderEndsTest : public EndsTest {
 protected:
  SlowReaderEndsTest() {
    listener().limits.read_bytes_per_second = 100;
    listener().timeouts.idle = listener().timeouts.half_close = 24h;
    listener().timeouts.shutdown = 1min;
  }
  /// The client takes nothing more. Its kernel may still fill its buffers in the first interval.
  void pass_intervals_until_the_cut() {
    turn_until([&] { return !connection->is_delivered(); }, 0, 0);
    turns(50);
    ahead += ReaderWatch::kInterval / 2;
    turns(5);
    EXPECT_EQ(phase(), "relay");
    for (int i = 0; i < 3 && phase() == "relay"; ++i) {
      ahead += kLongestInterval;
      turns(5);
    }
    ASSERT_EQ(phase(), "shutdown");
  }
  /// Twice the time in which 64 KiB, the largest segment of loopback, come at the limit.
  static constexpr Duration kLongestInterval = 2 * 656s;
  const std::string bytes = many_bytes();
};

TEST_F(SlowReaderEndsTest, AClientThatTakesTooLittleIsCut) {
  for_all_layers(Side::kClient, [&](Layer at_client, Layer at_backend, Reader reader) {
    if (reader == Reader::kFast) return;
    connect(at_client, at_backend, Side::kClient);
    far_backend->send(bytes);
    pass_intervals_until_the_cut();
    turn_until([&] { return far_backend->is_over(); }, 0, 1 << 16);
    expect_end(Side::kBackend, EndCause::kCut, at_backend, "");
    turn_until([&] { return far_client->is_over(); }, 1 << 16, 0);
    const std::string got = far_client->received;
    EXPECT_TRUE(bytes.starts_with(got)) << got.size();
    expect_end(Side::kClient, EndCause::kCut, at_client, got);
    turn_until_buried();
    EXPECT_EQ(connection->close_reason(), CloseReason::kSlowReader);
  });
}

// It takes a byte now and then, which must not draw out its end.
TEST_F(SlowReaderEndsTest, ItsEndTakesNoLongerThanTheTimeout) {
  connect(Layer::kPlain, Layer::kPlain, Side::kClient);
  far_backend->send(bytes);
  pass_intervals_until_the_cut();
  for (int i = 0; i < 3; ++i) {
    ahead += 20s;
    far_client->hear(1000);
    turns(3);
  }
  EXPECT_TRUE(connection->is_buried());
}

// The kernel acknowledges what it takes in steps of half of its buffer, or of a segment of loopback.
TEST_F(SlowReaderEndsTest, AClientThatKeepsToTheRateGetsEverything) {
  for_all_layers(Side::kClient, [&](Layer at_client, Layer at_backend, Reader reader) {
    if (reader == Reader::kFast) return;
    connect(at_client, at_backend, Side::kClient);
    far_backend->send(bytes);
    far_backend->end_in_order();
    for (std::size_t goal = 10'000; goal < bytes.size(); goal += 10'000) {
      turn_until([&] { return far_client->received.size() >= goal; }, 1000, 0);
      ahead += ReaderWatch::kInterval;
      turns(3);
      ASSERT_FALSE(connection->is_buried()) << goal;
    }
    turn_until_over(Side::kClient, Reader::kSlow);
    expect_end(Side::kClient, EndCause::kOtherEnded, at_client, bytes);
  });
}

// As on a quiet channel whose messages are small: there is never as much to take as the limit says.
TEST_F(SlowReaderEndsTest, AClientThatTakesEveryMessageIsNotSlow) {
  for_all_layers(Side::kClient, [&](Layer at_client, Layer at_backend, Reader reader) {
    if (reader == Reader::kFast) return;
    connect(at_client, at_backend);
    for (int i = 0; i < 5; ++i) {
      far_backend->send("tick");
      turn_until([&] { return far_client->received.size() == 4 * static_cast<std::size_t>(i + 1); }, 100, 0);
      // The clock is moved by hand, and the kernel may still wait with its acknowledgement.
      turn_until([&] { return connection->is_delivered(); }, 0, 0);
      ahead += ReaderWatch::kInterval;
      turns(3);
      ASSERT_EQ(phase(), "relay");
    }
  });
}

// A reader that goes on taking bytes gets all of them, however long it takes; one that stops is given up.
TEST_F(EndsTest, ThePatienceStartsAgainWithEveryByteThatIsTaken) {
  listener().timeouts.shutdown = 1s;
  connect(Layer::kPlain, Layer::kPlain, Side::kClient);
  const std::string bytes = many_bytes();
  far_backend->send(bytes);
  far_backend->reset();
  turns(5);
  for (const TimePoint until = Clock::now() + kPatience; !far_client->is_over() && Clock::now() < until;) {
    const std::size_t before = far_client->received.size();
    far_client->hear(1000);
    if (far_client->received.size() > before) ahead += 50ms;
    turn();
    ::poll(nullptr, 0, 1);
  }
  EXPECT_GT(ahead, 2 * listener().timeouts.shutdown);
  expect_end(Side::kClient, EndCause::kOtherBrokeOff, Layer::kPlain, bytes);
}

TEST_F(EndsTest, ASpliceEndsWhereTheDestinationWasSlow) {
  const std::string bytes = many_bytes();
  const auto events = [&](SpliceEvent event) {
    return connection->listener().metrics->splice_events[static_cast<std::size_t>(event)].value();
  };
  for (const bool slow : {false, true}) {
    spliced = true;
    connect(Layer::kPlain, Layer::kPlain, Side::kClient);
    const std::uint64_t before = events(SpliceEvent::kToBuffer);
    peer(Side::kBackend).send(bytes);
    turn_until([&] { return pipes.lent() > 0; }, 0, 1 << 16);
    if (slow) ahead += 1s;
    turn_until([&] { return peer(Side::kClient).received.size() == bytes.size(); }, 1 << 16, 1 << 16);
    EXPECT_EQ(pipes.lent(), 0U);
    if (slow) {
      EXPECT_GT(events(SpliceEvent::kToBuffer), before);
    }
    EXPECT_TRUE(peer(Side::kClient).received == bytes);
  }
}

// Taking counts, not only sending: the source of a slow destination is not read for a long time.
TEST_P(EndsOfBothSidesTest, ADestinationThatTakesALittleAtATimeIsNotIdle) {
  const Side to = GetParam(), from = other(to);
  const std::string bytes = many_bytes(100'000);
  for_all_layers(to, [&](Layer at_client, Layer at_backend, Reader reader) {
    if (reader == Reader::kFast) return;
    connect(at_client, at_backend, to);
    const Duration idle = listener().timeouts.idle;
    const Duration before = ahead;
    peer(from).send(bytes);
    turns(20);
    while (peer(to).received.size() < bytes.size() && !peer(to).is_over()) {
      turn();
      peer(to).hear(200);
      ::poll(nullptr, 0, 1);
      ahead += idle / 100;
    }
    EXPECT_GT(ahead - before, 3 * idle);
    EXPECT_FALSE(peer(to).is_over());
    EXPECT_TRUE(peer(to).received == bytes);
  });
}

// TCP's urgent mark (RFC 6093): splice(2) does not go over it.
TEST_P(EndsOfBothSidesTest, BytesBehindAnUrgentOneAreDelivered) {
  const Side to = GetParam(), from = other(to);
  const std::string bytes = many_bytes(), more = "and what lies behind the mark";
  for (const bool ends : {false, true}) {
    for_both_readers(to, Layer::kPlain, Layer::kPlain, [&](Layer at_client, Layer at_backend, Reader reader) {
      spliced = true;
      connect(at_client, at_backend, reader == Reader::kSlow ? to : Side::kNone);
      peer(from).send(bytes);
      turn_until([&] { return !peer(from).has_to_send(); }, 2000, 2000);
      peer(from).send_urgent('!');
      peer(from).send(more);
      if (ends) peer(from).end_in_order();
      turn_until([&] { return peer(to).received.size() == (bytes + more).size(); }, 1 << 16, 1 << 16);
      EXPECT_TRUE(peer(to).received == bytes + more);
      if (!ends) peer(from).end_in_order();
      turn_until_buried();
    });
  }
}

// Data and the alert behind it came in one segment. The alert was forgotten, because the data went first.
TEST_F(EndsTest, AnAlertBehindDataInOneSegmentIsNotTakenForAnEnd) {
  for (const Layer at_client : {Layer::kRecords, Layer::kOpenssl13, Layer::kOpenssl12}) {
    SCOPED_TRACE(testing::PrintToString(at_client));
    connect(at_client, Layer::kPlain);
    far_client->send("half a question");
    far_client->end_with_alert();
    turn_until_over(Side::kBackend, Reader::kFast);
    expect_end(Side::kBackend, EndCause::kOtherBrokeOff, Layer::kPlain, "half a question");
    turn_until_buried();
    EXPECT_EQ(connection->close_reason(), CloseReason::kClientProtocolError);
    EXPECT_EQ(connection->info().alert, static_cast<int>(Alert::kInternalError));
  }
}

// The tickets left at the end of a turn in which the client had reset: the kernel told of the reset to that
// send, and of EPIPE to the next one, which looked as if the client had ended before.
TEST_F(EndsTest, AResetOfWhichASendOfTicketsHeardIsNotTakenForAnEnd) {
  connect(Layer::kOpenssl13, Layer::kPlain);
  dynamic_cast<TlsStream&>(*connection->sides().client).send_tickets(1);
  far_client->send("half a question");
  far_client->turn();
  far_client->reset();
  connection->flush_held_back();
  turn_until_over(Side::kBackend, Reader::kFast);
  expect_end(Side::kBackend, EndCause::kOtherBrokeOff, Layer::kPlain, "half a question");
  turn_until_buried();
  EXPECT_EQ(connection->close_reason(), CloseReason::kClientReset);
}

TEST_F(EndsTest, ThePageShowsTheTableThatTheCodeFollows) {
  std::ifstream file(in_checkout("docs/ends.md"));
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_NE(page.str().find("\n" + table_of_ends() + "\n"), std::string::npos)
      << "docs/ends.md should contain:\n"
      << table_of_ends();
}

}  // namespace
}  // namespace headgate::test
