#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/close_reason.h"
#include "connection/cancel_round.h"
#include "connection/connection_info.h"
#include "connection/ends.h"
#include "connection/place_wait.h"
#include "connection/reader_watch.h"
#include "connection/server_use.h"
#include "connection/services.h"
#include "event/loop.h"
#include "net/starttls/dialogue.h"
#include "net/starttls/mysql_packet.h"
#include "net/starttls/upgrade.h"
#include "snapshot/worker_snapshot.h"
#include "tls/certificate/certificate_canary.h"
#include "tls/handshake/client_hello.h"

/// A connection's way, phase by phase, forwards only:
///
///   accept > proxy_in > starttls_in > hello > handshake > authorize > route > connect > relay > shutdown
///
/// A phase is a struct that owns exactly the objects which that phase needs, and a function step() in the
/// file of its name. The step goes as far as the bytes at hand allow and returns a Step: wait, the next
/// phase, or close. It never blocks, never closes, never changes the phase. Only Connection::drive() acts on
/// a step.
namespace headgate {

/// The two streams of a connection. `backend` is null before the connect phase.
struct Sides {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> backend;
};

/// The cause that woke the connection: for each side, what it is ready for, as far as that is known.
struct Ready {
  Interest client = Interest::kNone;
  Interest backend = Interest::kNone;
};

/// The things that a step uses besides its phase. Borrowed for the length of the step.
struct Context {
  Connection& connection;
  Sides& sides;
  ConnectionInfo& info;
  Services& services;
  WorkerSnapshot& snapshot;
  ListenerState& listener;
  Ready ready;
};

/// Decides whether the source may connect at all, and what the client has to send first.
struct Accept {};

/// Waits for the PROXY header that the listener's known proxies send first.
struct ProxyIn {
  std::vector<std::byte> received;
  HeldInput held{};  ///< Its share of what the worker keeps of unfinished hellos.
};

/// Answers the protocol's own request for TLS: PostgreSQL's SSLRequest, SMTP's STARTTLS.
struct StarttlsIn {
  std::unique_ptr<StarttlsDialogue> dialogue;  ///< MySQL: a ServerDialogue.
  std::vector<std::byte> received;
  StarttlsState state = StarttlsState::kNeedMore;  ///< What follows once the answer has been sent.
  bool spoken_to = false;                          ///< The client has sent something: it is no probe.
  HeldInput held{};  ///< Its share of what the worker keeps of unfinished hellos.
};

/// Collects the ClientHello, and decides by it: the certificate, passthrough, or refusal.
struct Hello {
  std::vector<std::byte> received;
  std::unique_ptr<ClientHelloReader>
      reader{};       ///< Remembers where reading stopped; null: reading has not begun.
  HeldInput held{};   ///< Its share of what the worker keeps of unfinished hellos.
  TimePoint began{};  ///< When its first bytes were there, of one that did not come at once.
};

/// The data that lives as long as the handshake: its place in the admission queue, and the parts of its time.
struct HandshakeTask {
  HandshakeTask(Permits& permits, Connection& connection, const ListenerPolicy& policy, SourceNetwork source)
      : request(permits, connection, *policy.counters, source, "waited 1.5 s for CPU time"),
        place(permits, request, policy.config.limits.max_handshakes) {}
  HeldRequest request;
  HeldPlace place;
  std::unique_ptr<ServerHandshake> handshake;  ///< It owns the client's socket during the handshake.
  bool began = false;                          ///< A permit has been used.
  bool awaits_operation = false;               ///< A private-key operation is under way on another thread.
  Duration spent{};                            ///< CPU time of the last permitted step.
  TimePoint waiting_since{};
  HandshakeTimes times;
  CanaryGroup* canary_arm =
      nullptr;        ///< Where the certificate is compared with another one. The snapshot holds it.
  ClientOffer hello;  ///< What the ClientHello offered, for the flight recorder.
  HeldInput held{};   ///< The share of an uncommonly long ClientHello in what the worker keeps of hellos.
};

/// Drives the handshake until it is done. Each step that costs CPU time needs a permit of the admission queue
/// first.
struct Handshake {
  std::unique_ptr<HandshakeTask> task;
};

/// Checks the peer against the listener's policy. The policy is asked once more, and for resumed sessions
/// too.
struct Authorize {
  /// Why the handshake would have refused the client's certificate, were this no dry run. Nothing is known of
  /// such a client.
  Authorization would_refuse{};
};

/// Finds the backend.
struct FindRoute {};

/// One direction of the relay.
struct Flow {
  bool ended : 1 = false;             ///< The source has ended.
  bool finished : 1 = false;          ///< The destination has been told of the end.
  bool spliced : 1 = false;           ///< Its bytes stay in the kernel; otherwise they pass through a buffer.
  std::uint8_t reads_for_change = 0;  ///< How many reads in a row would have been cheaper the other way.
};

/// Moves plaintext both ways until both directions have ended.
struct Relay {
  [[no_unique_address]] ServerUse server;  // the small ones behind it use what it leaves free
  Flow to_backend, to_client;
  bool cut_short = false;  ///< The client's TLS ended without close_notify.
  TimePoint last_byte{};
  TimePoint half_closed{};                ///< When the first direction ended; zero: neither has.
  std::unique_ptr<ReaderWatch> reader{};  ///< Null where limits.read_bytes_per_second is off.
};

/// The state of connecting. `started` is when the attempt at hand began, or the wait for a place.
struct Dial {
  enum class Stage : std::uint8_t {
    kHearingFirst,  ///< PostgreSQL: the client's first message is awaited.
    kPick,
    kQueued,  ///< Every server is full: a place is awaited.
    kConnecting,
    kIntroducing,
    kAskingForTls,
    kAwaitingPermit,
    kSecuring,
    kAwaitingSignature,
    kAwaitingGreeting,
    kWelcoming,
    kCancelling,     ///< PostgreSQL: the server gets a request to cancel.
    kMeeting,        ///< MySQL: the server's greeting is awaited.
    kMet,            ///< MySQL: the greeting is there.
    kHearingClient,  ///< MySQL: a client without TLS has been greeted.
    kRequestingTls,  ///< MySQL: the server gets the client's request for TLS.
    kLogin           ///< MySQL: the login passes, and is fitted.
  };
  /// How far an attempt came.
  enum class Reached : std::uint8_t { kNothing, kServer, kTls };
  /// Of several failed attempts an end tells of the one that came furthest, and of the last of those: behind
  /// a certificate that does not verify, a server's other address that refuses is no news.
  struct FailedAttempt {
    ConnectFailure failure = ConnectFailure::kOther;
    Reached reached = Reached::kNothing;
    InternedString server{};
  };
  BackendState* backend = nullptr;
  Stage stage = Stage::kPick;
  int attempts = 0;
  bool attempt_timed_out = false;
  bool has_spare = false;             ///< The attempt at hand goes by a spare connection.
  std::optional<FailedAttempt> told;  ///< Of those that failed, the one of which an end here tells.
  TimePoint started{};
  std::vector<Tried> tried;
  std::unique_ptr<PlaceWait> wait;  ///< In kQueued.
  std::optional<Choice> choice;
  std::unique_ptr<StarttlsUpgrade> upgrade;        ///< In kAskingForTls.
  std::vector<std::byte> greeting;                 ///< What a server that speaks first has said so far.
  bool early = false;                              ///< MySQL: it is reached before the client's TLS.
  bool requested = false;                          ///< MySQL: the server has its request for TLS.
  std::unique_ptr<CancelRound> cancel;             ///< PostgreSQL: what the servers get instead of a session.
  std::vector<std::byte> client_said;              ///< MySQL: the client's answer to the greeting;
                                                   ///< PostgreSQL: what it said first.
  std::optional<mysql::Login> login;               ///< In kLogin.
  std::optional<Relay> relay;                      ///< In kLogin: what comes behind it.
  std::unique_ptr<HeldRequest> request;            ///< For the handshake with the server.
  TimePoint asked{};                               ///< When that was queued. It is no time of the server's.
  std::shared_ptr<PrivateKeyOperation> operation;  ///< What the handshake waits for, once it is permitted.
  std::unique_ptr<ClientHandshake> handshake;      ///< In kSecuring: it owns the server's socket meanwhile.
};

/// Makes one attempt after the other, until a server is connected and secured.
struct Connect {
  std::unique_ptr<Dial> dial;
};

/// One side of a connection that ends, until its descriptor is closed.
struct SideEnd {
  /// How long the descriptor stays open: until the farewell is with the kernel, until the peer's kernel has
  /// acknowledged everything, or until a peer that still writes has ended its own direction, too.
  enum class Open : std::uint8_t { kUntilSaid, kUntilDelivered, kUntilPeerEnds };
  Farewell farewell = Farewell::kNothing;
  Alert alert = Alert::kCloseNotify;
  Open open = Open::kUntilSaid;
  bool said = false;         ///< The farewell is with the kernel; before a reset: all bytes are.
  bool peer_writes = false;  ///< Bytes have come since the end began.
  bool peer_ended = false;   ///< The peer has ended its direction.
};

/// The state of an end of which the peers are told.
struct Ending {
  std::string_view began_in;  ///< The phase that ended; empty: shutdown itself.
  ServerUse server;
  SideEnd client, backend;
  Side rest = Side::kNone;  ///< The side that broke, while the bytes that it sent before are not delivered.
  bool hastened = false;    ///< It may not take longer because bytes still move.
  bool resets_set = false;  ///< The sockets that are to be reset know it.
  std::size_t left_bytes = 0;  ///< What the peers had not got at the last look.
  Duration pause{};            ///< Between the last two looks.
  TimePoint next_look = TimePoint::max();
  TimePoint limit{};
};

/// Tells the peers of the end, and lets them read what was sent to them before their descriptors close: see
/// ends.h for what each is told. What the peers send meanwhile is dropped. It takes until no peer has got a
/// byte for timeouts.shutdown at most.
struct Shutdown {
  CloseReason reason;
  std::unique_ptr<Ending> ending{};  ///< Null: a client that is refused, and that has been told why.
};

using Phase = std::variant<Accept, ProxyIn, StarttlsIn, Hello, Handshake, Authorize, FindRoute, Connect,
                           Relay, Shutdown>;

/// Stay in this phase until a side is ready as asked, or the phase's deadline passes.
struct Wait {
  Interest client = Interest::kNone;
  Interest backend = Interest::kNone;
};
/// End the connection now; `reason` is the word in the log line and in the metric.
struct Close {
  CloseReason reason;
};
/// Stay in this phase until `operation` has been performed on another thread, or as `wait` says.
struct Offload {
  std::shared_ptr<PrivateKeyOperation> operation;
  Wait wait;
};
using Step = std::variant<Wait, Phase, Close, Offload>;

Step step(Accept& phase, Context& context);
Step step(ProxyIn& phase, Context& context);
Step step(StarttlsIn& phase, Context& context);
Step step(Hello& phase, Context& context);
Step step(Handshake& phase, Context& context);
Step step(Authorize& phase, Context& context);
Step step(FindRoute& phase, Context& context);
Step step(Connect& phase, Context& context);
Step step(Relay& phase, Context& context);
Step step(Shutdown& phase, Context& context);

/// Takes a place among the listener's connections, now that the client's address is certain, or says why
/// there is no place. `received` was read from the client already.
[[nodiscard]] Step admit(std::vector<std::byte> received, Context& context);
/// Makes the step of a phase whose client has to send more before the phase can decide, and of which
/// `received` is kept until then: waits as `wait` says, or ends the connection where the worker keeps too
/// many bytes of unfinished hellos.
[[nodiscard]] Step await_more(const std::vector<std::byte>& received, HeldInput& held, Context& context,
                              Wait wait = {.client = Interest::kRead});
/// Makes the connect phase for the backend called `name`, or goes on with the one that was reached early.
[[nodiscard]] Step connect_to(std::string_view backend, Context& context);

/// Returns the descriptors that the phase owns itself, those that are in no stream of `Sides`; -1 for none.
struct PhaseDescriptors {
  int client = -1;
  int backend = -1;
};
[[nodiscard]] PhaseDescriptors descriptors(const Phase& phase);

/// "handshake", "relay", ...: the word in logs, in metrics and in /connections.json.
[[nodiscard]] std::string_view name(const Phase& phase);

/// Returns when the phase times out, if nothing happens until then. TimePoint::max(): never.
[[nodiscard]] TimePoint deadline(const Phase& phase, const Context& context);
/// Returns the end for a phase whose deadline has passed. Nothing: the step of the phase goes on, and acts on
/// it.
[[nodiscard]] std::optional<CloseReason> timed_out(Phase& phase, const Context& context, TimePoint now);

}  // namespace headgate
