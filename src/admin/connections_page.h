#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/units.h"

/// What /connections.json is asked for and shows: plain values. No secrets.
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

}  // namespace headgate
