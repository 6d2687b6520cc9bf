#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "log/log_level.h"
#include "net/address.h"
#include "net/starttls/dialogue.h"

/// The configuration as plain values: what the YAML says, with the default of every key that is not given.
/// The default is written at each field. Paths are absolute or relative to the working directory.
/// docs/configuration.md says what each key does.
namespace headgate::config {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class AccessLog { kOff, kFailures, kAll };

struct Log {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  AccessLog access = AccessLog::kFailures;
  bool operator==(const Log&) const = default;
};

enum class TlsVersion { kTls12, kTls13 };
enum class UnknownName { kServeDefault, kReject };
enum class ClientAuthMode { kNone, kOptional, kRequired };
enum class RecordLayer { kAuto, kOpenssl };
enum class Balance { kRoundRobin, kLeastConnections, kRandomTwo, kSourceHash };
enum class SendProxy { kNone, kV1, kV2 };
enum class HealthCheckType { kTcp, kTls };

/// One certificate of a listener.
struct Certificate {
  std::string certificate;  ///< PEM file, leaf first.
  std::string private_key;  ///< PEM file; empty: in the certificate's file.
  std::string ocsp_staple;  ///< DER file; empty: none.
  std::uint8_t canary_percent =
      0;  ///< Share of the handshakes that a changed certificate gets first; 0: all.
  milliseconds canary_for{10 * 60'000};
  bool operator==(const Certificate&) const = default;
};

/// Which of the clients that the CA vouches for may pass. One match is enough; without any pattern every
/// client may pass.
struct ClientAllow {
  std::vector<std::string> spiffe, uri, dns, common_name, organizational_unit;
  std::vector<std::string>
      fingerprint;  ///< SHA-256 of the certificate, lower-case hexadecimal without colons.
  [[nodiscard]] bool empty() const {
    return spiffe.empty() && uri.empty() && dns.empty() && common_name.empty() &&
           organizational_unit.empty() && fingerprint.empty();
  }
  bool operator==(const ClientAllow&) const = default;
};

struct ClientAuth {
  ClientAuthMode mode = ClientAuthMode::kNone;
  std::string ca;        ///< PEM file.
  std::string crl;       ///< PEM or DER file; empty: no revocation list.
  bool cut_live = true;  ///< Close established connections whose peer would not be let in any more.
  ClientAllow allow;
  bool operator==(const ClientAuth&) const = default;
};

/// Tickets are opened by the keys of at most this many periods of `rotate_every` before the current one.
inline constexpr int kMaxPastTicketKeys = 64;

struct Resumption {
  bool tickets = true;
  int per_connection = 1;
  seconds lifetime{12 * 3600};
  std::string secret_file;  ///< Empty: random keys of this process.
  seconds rotate_every{6 * 3600};
  bool operator==(const Resumption&) const = default;
};

struct Tls {
  std::vector<Certificate> certificates;
  std::vector<std::string> certificate_dirs;
  UnknownName unknown_name = UnknownName::kServeDefault;
  TlsVersion min_version = TlsVersion::kTls12;
  TlsVersion max_version = TlsVersion::kTls13;
  std::vector<std::string> groups{"X25519MLKEM768", "X25519", "P-256", "P-384"};
  std::vector<std::string> cipher_suites;  ///< TLS 1.3; empty: OpenSSL's.
  std::string ciphers;                     ///< TLS 1.2 OpenSSL list; empty: ECDHE with AEAD.
  std::vector<std::string> alpn;
  ClientAuth client_auth;
  Resumption resumption;
  RecordLayer record_layer = RecordLayer::kAuto;
  std::string keylog_file;
  std::vector<std::string>
      dry_run;  ///< Policies that are only counted, as if they were in force: "tls13_only", "pq_only".
  bool operator==(const Tls&) const = default;
};

struct ProxyProtocol {
  std::vector<Network> from;  ///< These sources must send a PROXY header; others must not.
  bool operator==(const ProxyProtocol&) const = default;
};

struct Limits {
  std::uint32_t max_connections = 0;             ///< 0: bounded by file descriptors alone.
  std::uint32_t max_connections_per_source = 0;  ///< 0: none.
  std::uint32_t max_handshakes = 1000;           ///< In progress at once, per worker.
  std::uint32_t handshake_rate = 0;              ///< Per second, all workers together; 0: no cap.
  bool operator==(const Limits&) const = default;
};

struct Timeouts {
  milliseconds handshake{10'000};
  milliseconds idle{5 * 60'000};
  milliseconds half_close{60'000};
  milliseconds lifetime{0};  ///< 0: none.
  milliseconds shutdown{5'000};
  bool operator==(const Timeouts&) const = default;
};

/// All given conditions must hold; the first route that matches wins.
struct Route {
  std::vector<std::string> sni;
  std::vector<std::string> alpn;
  std::vector<std::string> spiffe;
  bool passthrough = false;
  std::string backend;
  bool operator==(const Route&) const = default;
};

struct Listener {
  std::string name;
  std::vector<Address> bind;
  int backlog = 4096;
  std::optional<ProxyProtocol> proxy_protocol;
  std::optional<StarttlsProtocol> starttls;
  std::optional<Tls> tls;
  Limits limits;
  Timeouts timeouts;
  std::vector<Network> allow;  ///< Empty: all.
  std::vector<Network> deny;
  std::vector<Network> probes;  ///< Connections from these sources count as probes, whatever they do.
  std::vector<Route> routes;
  std::string backend;  ///< Empty: a connection that no route matches is refused.
  bool operator==(const Listener&) const = default;
};

struct Server {
  std::string address;  ///< "host:port" or "unix:PATH", as written: the label in metrics.
  std::uint32_t weight = 1;
  std::uint32_t max_connections = 0;  ///< 0: no bound.
  bool operator==(const Server&) const = default;
};

struct HealthCheck {
  HealthCheckType type = HealthCheckType::kTcp;
  milliseconds interval{2'000};
  milliseconds timeout{1'000};
  int rise = 2;
  int fall = 3;
  bool operator==(const HealthCheck&) const = default;
};

struct Ejection {
  int failures = 5;  ///< In a row.
  milliseconds for_time{10'000};
  bool operator==(const Ejection&) const = default;
};

struct BackendTls {
  std::string server_name;    ///< "$sni": the client's; empty: the host of the server's address.
  std::string ca = "system";  ///< PEM file, or "system".
  bool verify = true;
  std::string certificate;        ///< Client certificate, PEM; empty: none.
  std::string private_key;        ///< Empty: in the certificate's file.
  std::vector<std::string> alpn;  ///< "$alpn": the client's.
  std::optional<StarttlsProtocol> starttls;
  bool operator==(const BackendTls&) const = default;
};

struct Backend {
  std::string name;
  std::vector<Server> servers;
  Balance balance = Balance::kRoundRobin;
  milliseconds connect_timeout{2'000};
  int connect_attempts = 2;
  SendProxy send_proxy = SendProxy::kNone;
  std::optional<HealthCheck> health_check;
  Ejection ejection;
  std::optional<BackendTls> tls;
  bool operator==(const Backend&) const = default;
};

struct Config {
  int workers = 0;  ///< 0: auto, the CPUs this process may really use.
  Log log;
  std::optional<Address> admin = Address::loopback(9464);  ///< nullopt: off.
  milliseconds drain_deadline{30'000};
  milliseconds drain_accept_for{0};
  std::string user, group;  ///< Empty: stay.
  bool sandbox = true;
  bool key_isolation = false;
  std::vector<Listener> listeners;
  std::map<std::string, Backend> backends;
  bool operator==(const Config&) const = default;
};

}  // namespace headgate::config
