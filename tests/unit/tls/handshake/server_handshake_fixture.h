#pragma once

#include <sys/socket.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/check.h"
#include "tls/handshake/server_handshake.h"
#include "unit/tls/memory_client.h"
#include "unit/tls/tls_pair.h"

namespace headgate::test {

/// A pair of connected sockets, the first one for the server.
inline std::array<Fd, 2> socket_pair() {
  int ends[2];
  HG_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

/// A server's handshake and its client, with a socket between them.
class ServerHandshakeTest : public testing::Test {
 protected:
  void serve(ListenerFixture fixture) {
    fixture.tls().record_layer = record_layer;
    shared = fixture.build();
    library = *LibraryContext::make();
    offload = *LibraryContext::make();
    context = *ServerContext::make(*library, offload, shared, metrics);
    aead.emplace(library.get());
  }
  void serve(const std::string& key) {
    ListenerFixture fixture;
    leaf = issue({.key = key});
    fixture.certificates = {stored(*leaf)};
    serve(std::move(fixture));
  }

  /// The client says hello, and the handshake begins.
  void begin(MemoryClient& client) {
    auto [ours, theirs] = socket_pair();
    peer = std::move(theirs);
    client.step();
    std::vector<std::byte> received = client.take();
    const auto hello = parse_client_hello(received);
    HG_CHECK(hello.has_value());
    const Selection selection = context->select(*hello);
    first_flight = received;
    if (hello_comes_alone) {
      behind_hello.assign(received.begin() + static_cast<std::ptrdiff_t>(hello->wire_bytes), received.end());
      received.resize(hello->wire_bytes);
    }
    HandshakeStart start{.context = context,
                         .certificate = selection.certificate,
                         .ticket = hello->ticket,
                         .sends_early_data = hello->offers_early_data,
                         .takes_tickets = takes_tickets,
                         .received = received};
    handshake = begin_server_handshake(std::move(start), std::move(ours), buffers, *aead);
  }

  /// Sends the bytes that the client wrote.
  void deliver_to_server(MemoryClient& client) {
    const auto bytes = client.take();
    if (!bytes.empty()) HG_CHECK(::send(peer.number(), bytes.data(), bytes.size(), 0) > 0);
  }
  /// Gives the client the bytes that have arrived, at most `most`; returns whether bytes had arrived.
  bool deliver_to_client(MemoryClient& client, std::size_t most = 65536) {
    std::vector<std::byte> bytes(most);
    const ssize_t size = ::recv(peer.number(), bytes.data(), bytes.size(), 0);
    if (size <= 0) return false;
    client.give(std::span(bytes).first(static_cast<std::size_t>(size)));
    return true;
  }

  /// Drives both ends to the end; returns the permitted works, in order.
  std::vector<HandshakeWork> run(MemoryClient& client, std::size_t client_reads = 65536) {
    std::vector<HandshakeWork> permitted;
    for (int i = 0; i < 100'000 && !accepted && !refused; ++i) {
      ServerHandshake::Answer answer = handshake->step();
      if (std::holds_alternative<ServerHandshake::NeedsPermit>(answer)) {
        permitted.push_back(handshake->cost().work);
        handshake->permit();
      } else if (auto* off = std::get_if<ServerHandshake::Offload>(&answer)) {
        ++offloaded;
        std::thread([operation = off->operation] { operation->perform(); }).join();
      } else if (const auto* wait = std::get_if<ServerHandshake::Wait>(&answer)) {
        if (wait->write) ++waits_for_writing;
        EXPECT_TRUE(wait->write || wait->read);
        if (!sent_instead.empty()) {
          HG_CHECK(::send(peer.number(), sent_instead.data(), sent_instead.size(), 0) > 0);
          sent_instead.clear();
          continue;
        }
        deliver_to_client(client, client_reads);
        client.step();
        deliver_to_server(client);
      } else if (auto* done = std::get_if<ServerHandshake::Accepted>(&answer)) {
        accepted = std::move(*done);
      } else if (auto* failed = std::get_if<ServerHandshake::Refused>(&answer)) {
        refused = std::move(*failed);
      } else {
        ADD_FAILURE() << std::get<ServerHandshake::Failed>(answer).what;
        break;
      }
    }
    return permitted;
  }

  /// Sends `text` from the client to the stream that was accepted; returns the bytes that come out of it.
  std::string carry(MemoryClient& client, const std::string& text) {
    client.write(text);
    deliver_to_server(client);
    std::vector<std::byte> room(16'384);
    ReadResult got = accepted->stream->read(room);
    // The handshake may have left word that nothing had arrived.
    if (got.status == IoStatus::kWantRead) got = accepted->stream->read(room);
    return {reinterpret_cast<const char*>(room.data()), got.size_bytes};
  }

  config::RecordLayer record_layer = config::RecordLayer::kAuto;
  bool takes_tickets = true;
  std::vector<std::byte> first_flight;  ///< The bytes with which the handshake began.
  bool hello_comes_alone = false;
  std::vector<std::byte> behind_hello;  ///< If it comes alone: what the client wrote behind it.
  std::vector<std::byte> sent_instead;  ///< Sent in place of the client's next flight.
  std::optional<Issued> leaf;
  std::shared_ptr<const ListenerTls> shared;
  std::unique_ptr<LibraryContext> library;
  std::shared_ptr<const LibraryContext> offload;
  ListenerMetrics metrics;
  std::shared_ptr<ServerContext> context;
  Buffers buffers;
  std::optional<AeadContexts> aead;
  Fd peer;
  std::unique_ptr<ServerHandshake> handshake;
  std::optional<ServerHandshake::Accepted> accepted;
  std::optional<ServerHandshake::Refused> refused;
  int offloaded = 0;
  int waits_for_writing = 0;
};

}  // namespace headgate::test
