#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
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
  bool ja4 = false;  ///< The line of a connection's end has the fingerprint of its ClientHello.
  bool operator==(const Log&) const = default;
};

enum class TlsVersion { kTls12, kTls13 };
/// The answer to a client that asks for a name that no certificate covers, or for none.
enum class UncoveredName { kServeDefault, kReject };
enum class ClientAuthMode { kNone, kOptional, kRequired };
/// kAny: a certificate passes that its extended key usage does not permit for clients.
enum class ClientPurpose { kClient, kAny };
enum class RecordLayer { kAuto, kOpenssl };
enum class X25519 { kAuto, kOpenssl };
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
  // SHA-256 of the certificate, and of its public key (SPKI), in lower-case hexadecimal without colons.
  std::vector<std::string> fingerprint, public_key;
  [[nodiscard]] bool empty() const {
    return spiffe.empty() && uri.empty() && dns.empty() && common_name.empty() &&
           organizational_unit.empty() && fingerprint.empty() && public_key.empty();
  }
  bool operator==(const ClientAllow&) const = default;
};

struct ClientAuth {
  ClientAuthMode mode = ClientAuthMode::kNone;
  std::string ca;  ///< PEM file, whose CAs vouch for every name. Either this or `domain_cas`.
  /// From SPIFFE trust domain to the PEM file of the CAs that vouch for its workloads, and for nobody else.
  std::map<std::string, std::string> domain_cas;
  std::string crl;  ///< PEM or DER file; empty: no revocation list.
  ClientPurpose purpose = ClientPurpose::kClient;
  bool cut_live = true;  ///< Close established connections whose peer would not be let in any more.
  ClientAllow allow;
  bool operator==(const ClientAuth&) const = default;
};

/// The rules for the clients that ask for some server names. Nothing is taken over from the listener's other
/// rules.
struct NamedClientAuth {
  std::vector<std::string> sni;
  ClientAuth rules;
  bool operator==(const NamedClientAuth&) const = default;
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
  X25519 x25519 = X25519::kAuto;  ///< That of the whole configuration.
  std::vector<Certificate> certificates;
  std::vector<std::string> certificate_dirs;
  UncoveredName unknown_name = UncoveredName::kServeDefault;
  UncoveredName missing_name = UncoveredName::kServeDefault;
  std::uint8_t warn_before_percent =
      25;  ///< Of a certificate's life, left over: from then on it is warned of.
  TlsVersion min_version = TlsVersion::kTls12;
  TlsVersion max_version = TlsVersion::kTls13;
  std::vector<std::string> groups{"X25519MLKEM768", "X25519", "P-256", "P-384"};
  std::vector<std::string> cipher_suites;  ///< TLS 1.3; empty: OpenSSL's.
  std::string ciphers;                     ///< TLS 1.2 OpenSSL list; empty: ECDHE with AEAD.
  std::vector<std::string> alpn;
  ClientAuth client_auth;
  std::vector<NamedClientAuth> client_auth_by_name;  ///< The first entry with the client's name counts.
  Resumption resumption;
  RecordLayer record_layer = RecordLayer::kAuto;
  std::string keylog_file;
  std::vector<std::string>
      dry_run;  ///< Policies that only count whom they refuse: "tls13_only", "pq_only", "client_auth".
  bool operator==(const Tls&) const = default;
};

struct ProxyProtocol {
  std::vector<Network> from;  ///< These sources must send a PROXY header; others must not.
  bool operator==(const ProxyProtocol&) const = default;
};

/// Bounds of the whole process, above those of its listeners.
struct ProcessLimits {
  std::uint32_t max_connections = 0;  ///< 0: bounded by file descriptors alone.
  std::uint32_t handshake_rate = 0;   ///< Per second; 0: no cap.
  Bytes max_memory{};                 ///< Resident; 0: no bound.
  bool operator==(const ProcessLimits&) const = default;
};

/// Sources whose handshakes keep failing get no connection for a while.
struct Penalty {
  std::uint32_t failures = 0;  ///< 0: none.
  milliseconds within{60'000};
  milliseconds for_time{60'000};
  bool operator==(const Penalty&) const = default;
};

struct Limits {
  std::uint32_t max_connections = 0;             ///< 0: bounded by file descriptors alone.
  std::uint32_t max_connections_per_source = 0;  ///< 0: none.
  std::uint32_t max_handshakes = 1000;           ///< In progress at once, per worker.
  // Per second, all workers together; 0: no cap.
  std::uint32_t handshake_rate = 0;
  std::uint32_t connection_rate = 0;
  std::uint32_t connection_rate_per_source = 0;
  Penalty penalty;
  std::uint32_t hello_bytes_per_second = 100;  ///< 0: only timeouts.handshake ends a slow ClientHello.
  std::uint32_t read_bytes_per_second = 0;     ///< 0: none.
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
  // The private link that the PROXY header names (net/private_link.h).
  std::vector<std::string> aws_vpc_endpoint{}, azure_private_link{}, gcp_psc_connection{};
  /// Whether it has a condition on the private link.
  [[nodiscard]] bool asks_for_link() const {
    return !aws_vpc_endpoint.empty() || !azure_private_link.empty() || !gcp_psc_connection.empty();
  }
  bool operator==(const Route&) const = default;
};

/// One address of a listener.
struct Bind {
  Address address;
  bool ipv6_only = false;  ///< An IPv6 address takes no IPv4 client.
  // Of the file of a unix socket:
  std::optional<std::uint32_t> mode{};  ///< nullopt: what the umask leaves.
  std::string owner{}, group{};         ///< A name or a number; empty: those of the process that makes it.
  bool operator==(const Bind&) const = default;
};

struct Listener {
  std::string name;
  std::vector<Bind> bind;
  bool transparent = false;  ///< Takes connections to addresses that are not this machine's.
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

/// The address of a server that stands for the one which the client asked for, and the name of the backend
/// with it that a transparent listener has where it names no other.
inline constexpr std::string_view kOriginal = "original";
/// The `source` that stands for the client's own address.
inline constexpr std::string_view kClientSource = "client";

struct Server {
  /// "host:port", "unix:PATH", "srv:NAME" or kOriginal, as written: the label in metrics.
  std::string address;
  std::uint32_t weight = 1;           ///< 0: no connection.
  std::uint32_t max_connections = 0;  ///< 0: no bound.
  bool operator==(const Server&) const = default;
};

struct HealthCheck {
  HealthCheckType type = HealthCheckType::kTcp;
  milliseconds interval{2'000};
  milliseconds timeout{1'000};
  int rise = 2;
  int fall = 3;
  std::string send{};    ///< Bytes to say once connected, or once TLS is up.
  std::string expect{};  ///< The bytes with which the server's answer must begin; empty: none is awaited.
  bool operator==(const HealthCheck&) const = default;
};

struct Ejection {
  int failures = 5;  ///< In a row.
  milliseconds for_time{10'000};
  bool operator==(const Ejection&) const = default;
};

/// The connections that wait while every server is at its max_connections.
struct Queue {
  std::uint32_t size = 0;  ///< Of all workers together; 0: none waits.
  milliseconds timeout{1'000};
  bool operator==(const Queue&) const = default;
};

struct BackendTls {
  X25519 x25519 = X25519::kAuto;  ///< That of the whole configuration.
  std::string server_name;        ///< "$sni": the client's; empty: the host of the server's address.
  std::string ca = "system";      ///< PEM file, or "system".
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
  Queue queue;
  std::uint32_t preconnect = 0;  ///< Spare connections of each worker.
  std::string source;  ///< The IP address to connect from, or kClientSource; empty: the kernel's choice.
  SendProxy send_proxy = SendProxy::kNone;
  bool send_client_certificate = false;  ///< In the PROXY header of version 2.
  std::optional<HealthCheck> health_check;
  Ejection ejection;
  milliseconds slow_start{0};  ///< Until a server that comes back gets its whole share; 0: at once.
  std::optional<BackendTls> tls;
  bool operator==(const Backend&) const = default;
};

/// CPUs by the kernel's numbers, from `first` to `last`.
struct CpuRange {
  std::uint16_t first = 0, last = 0;
  bool operator==(const CpuRange&) const = default;
};

/// Linux can be built for 8,192 CPUs.
inline constexpr int kLastCpu = 8191;

/// Where a configuration is from, besides its file. Not a part of the Config, which is the same wherever it
/// was written.
struct Sources {
  std::vector<std::string> include;      ///< Files, and directories with all *.yaml of them.
  std::vector<std::string> environment;  ///< The variables that values may name: "PORT", or "APP_*".
  bool operator==(const Sources&) const = default;
};

struct Config {
  int workers = 0;  ///< 0: auto, one for each of `worker_cpus`, else the CPUs this process may really use.
  std::vector<CpuRange> worker_cpus;  ///< Each worker is bound to one of them, in turn; empty: to none.
  bool worker_incoming_cpu = false;   ///< A connection goes to the worker on the CPU that received it.
  Log log;
  std::optional<Address> admin = Address::loopback(9464);  ///< nullopt: off.
  std::optional<Address> admin_metrics;                    ///< Of metrics and health alone; nullopt: off.
  std::string admin_token_file;                            ///< Empty: the admin endpoint asks for no token.
  bool ready_needs_every_name = false;   ///< `/readyz` asks for a valid certificate for each name.
  std::vector<std::string> admin_names;  ///< Hosts of which the admin endpoint answers, beside its address.
  milliseconds drain_deadline{30'000};
  milliseconds drain_accept_for{0};
  std::string user, group;  ///< Empty: stay.
  bool sandbox = true;
  bool key_isolation = false;
  X25519 x25519 = X25519::kAuto;  ///< kOpenssl: the TLS library's own, not lib25519's.
  ProcessLimits limits;
  std::vector<Listener> listeners;
  std::map<std::string, Backend> backends;
  bool operator==(const Config&) const = default;
};

}  // namespace headgate::config
