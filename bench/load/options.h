#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace headgate::bench {

/// What the ClientHello of an attacker is like. kRetry: without a key share, so that a HelloRetryRequest
/// comes first. kPsk and kTicket: with a pre-shared key or a session ticket (TLS 1.2) that the server never
/// gave.
enum class FloodKind { kFull, kRetry, kPsk, kTicket };

/// The signatures that a client takes; a server with certificates of both kinds chooses by them.
enum class Signatures { kAny, kRsa, kEcdsa };

/// The command line: `headgate_load MODE --name value ...`. Every mode reads what it needs.
struct Options {
  std::string mode;
  std::uint16_t port = 0;
  std::string socket;                     ///< Of the backend: a unix socket on which it serves too.
  std::vector<int> pids;                  ///< --pids 1,2: the proxy's processes, whose CPU time is measured.
  long count = 1000;                      ///< Operations to measure.
  long warm = 0;                          ///< Operations before that.
  std::size_t connections = 1;            ///< At once.
  std::uint64_t bytes = 0;                ///< Of a transfer, all connections together.
  double seconds = 0;                     ///< More than 0: for so long rather than `count` operations.
  double rate = 0;                        ///< Arrivals a second.
  std::chrono::milliseconds interval{0};  ///< Between two round trips of a connection; 0: at once.
  std::chrono::milliseconds patience{2000};
  bool resume = false;
  std::string name = "bench.test";  ///< The server name that clients ask for.
  Signatures signatures = Signatures::kAny;
  FloodKind kind = FloodKind::kFull;
  std::size_t sources = 1;    ///< Addresses of attackers; 0: each connection has its own.
  double share = 0;           ///< More than 0: the part of the flood that the first of them brings.
  std::size_t together = 1;   ///< So many attackers send their second ClientHello at the same time.
  bool tiny_records = false;  ///< The bytes of a slow ClientHello are records of their own.
  std::string tls = "1.3";
  std::string groups = "X25519";
  std::string suites = "TLS_AES_128_GCM_SHA256";
  std::string ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
};

/// Ends the program with a sentence on stderr.
[[noreturn]] void give_up(const std::string& why);

/// The options on the command line; gives up on what it does not know.
[[nodiscard]] Options parse_options(int count, char** words);

}  // namespace headgate::bench
