#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/units.h"

/// What the workers tell about single connections and handshakes when they are asked: plain values. No
/// secrets.
namespace headgate {

/// A live connection, as /connections.json shows it. Text is empty where there is none (yet).
struct ConnectionReport {
  std::uint64_t id = 0;
  int worker = 0;
  std::string listener{}, source{}, phase{};
  std::string sni{}, alpn{}, version{}, group{}, cipher{};
  std::string peer{};  ///< The identity of the client's certificate.
  std::string backend{}, server{};
  std::string record_layer{};  ///< "headgate", "openssl" or "plain".
  bool resumed = false;
  std::chrono::milliseconds age{0}, idle{0};
  std::uint64_t bytes_from_client = 0, bytes_to_client = 0;
};

/// Which connections are asked for. Empty text asks for all.
struct ConnectionsQuery {
  static constexpr std::size_t kMaxLimit = 1000;
  std::size_t offset = 0, limit = 100;
  std::string listener{}, backend{}, source{};  ///< `source` is a network or address.
};

struct ConnectionsPage {
  std::uint64_t total = 0;  ///< That match, not only those of this page.
  std::vector<ConnectionReport> connections{};
};

/// One handshake of the flight recorder.
struct HandshakeReport {
  WallTime at{};
  std::string listener{}, source{};
  std::string result{};  ///< A HandshakeResult's word.
  std::string reason{};  ///< A HandshakeFailure's word; empty when it succeeded.
  std::string alert{};   ///< An alert's name; empty: none.
  std::string sni{}, ja4{};
  /// What the ClientHello offered.
  std::vector<std::string> versions{}, groups{}, ciphers{}, signature_algorithms{}, alpn{};
  std::string version{}, group{}, cipher{};  ///< What was agreed.
  bool resumed = false;
  std::chrono::microseconds total{0}, queue{0}, cpu{0}, peer_wait{0};
};

struct HandshakesReport {
  std::vector<HandshakeReport> failed{};   ///< The last ones, newest first.
  std::vector<HandshakeReport> slowest{};  ///< Of the last minutes, slowest first.
};

}  // namespace headgate
