#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "net/tcp_state.h"

/// The question and the answer of /connections.json: plain values. No secrets.
namespace headgate {

/// A live connection, as /connections.json shows it. A text is empty where the connection has no such value
/// (yet).
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
  std::optional<TcpState> client_tcp{}, backend_tcp{};  ///< nullopt: no TCP, or no socket yet.
};

/// Selects connections. An empty text selects all.
struct ConnectionsQuery {
  static constexpr std::size_t kMaxLimit = 1000;
  std::size_t offset = 0, limit = 100;
  std::string listener{}, backend{}, source{};  ///< `source` is a network or address.
};

struct ConnectionsPage {
  std::uint64_t total = 0;  ///< All connections that match, not only those of this page.
  std::vector<ConnectionReport> connections{};
};

}  // namespace headgate
