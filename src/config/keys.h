#pragma once

#include "config/config.h"
#include "config/names.h"
#include "config/notation.h"
#include "config/variables.h"

/// The one table of keys: for each struct of config.h, which keys it has, which field each one sets, and how
/// its value is written. Reading a file, showing a configuration and listing the keys are three visitors of
/// it. A visitor has
///
///   value(key, target, notation)                one value
///   list(key, vector, notation, ListForm)       several; one alone needs no brackets
///   map(key, target)                            a map that is always there
///   admitting_map(key, target)                  a map of lists that admits all while target.empty()
///   optional_map(key, optional)                 a map whose absence means something
///   maps(key, vector, short_key)                a list of maps; text alone stands for a map with short_key,
///                                               and one map alone needs no brackets where there is one
///   named_maps(key, map)                        maps by a name of the operator's choice
///   value_or_map(key, target, map, notation, name_notation)   one value, or values by name
///   value_or_keys(key, target, notation, map, value_alone)    a value that may stand for the map with it; it
///                                                             does in what is shown where `value_alone`
namespace headgate::config {

/// How a list is written.
enum class ListForm {
  kPlain,
  kColons,     ///< It may also be one text "A:B:C".
  kAdmitting,  ///< It admits all while it is empty, so it is left out for that, and not written as "[]".
};

inline constexpr auto kLogLevels = words<LogLevel>({{"error", LogLevel::kError},
                                                    {"warn", LogLevel::kWarn},
                                                    {"info", LogLevel::kInfo},
                                                    {"debug", LogLevel::kDebug}});
inline constexpr auto kLogFormats =
    words<LogFormat>({{"text", LogFormat::kText}, {"json", LogFormat::kJson}});
inline constexpr auto kAccessLogs = words<AccessLog>(
    {{"off", AccessLog::kOff}, {"failures", AccessLog::kFailures}, {"all", AccessLog::kAll}});
inline constexpr auto kStarttls =
    words<std::optional<StarttlsProtocol>>({{"none", std::nullopt},
                                            {"postgres", StarttlsProtocol::kPostgres},
                                            {"mysql", StarttlsProtocol::kMysql},
                                            {"smtp", StarttlsProtocol::kSmtp},
                                            {"imap", StarttlsProtocol::kImap},
                                            {"pop3", StarttlsProtocol::kPop3},
                                            {"ldap", StarttlsProtocol::kLdap}});
inline constexpr auto kTlsVersions =
    words<TlsVersion>({{"1.2", TlsVersion::kTls12}, {"1.3", TlsVersion::kTls13}}, "tls_version");
inline constexpr auto kUncoveredNames = words<UncoveredName>(
    {{"serve_default", UncoveredName::kServeDefault}, {"reject", UncoveredName::kReject}});
inline constexpr auto kClientAuthModes = words<ClientAuthMode>({{"none", ClientAuthMode::kNone},
                                                                {"optional", ClientAuthMode::kOptional},
                                                                {"required", ClientAuthMode::kRequired}});
inline constexpr auto kClientPurposes =
    words<ClientPurpose>({{"client", ClientPurpose::kClient}, {"any", ClientPurpose::kAny}});
inline constexpr auto kRecordLayers =
    words<RecordLayer>({{"auto", RecordLayer::kAuto}, {"openssl", RecordLayer::kOpenssl}});
inline constexpr auto kBalances = words<Balance>({{"round_robin", Balance::kRoundRobin},
                                                  {"least_connections", Balance::kLeastConnections},
                                                  {"random_two", Balance::kRandomTwo},
                                                  {"source_hash", Balance::kSourceHash}});
inline constexpr auto kSendProxy =
    words<SendProxy>({{"none", SendProxy::kNone}, {"v1", SendProxy::kV1}, {"v2", SendProxy::kV2}});
inline constexpr auto kHealthCheckTypes =
    words<HealthCheckType>({{"tcp", HealthCheckType::kTcp}, {"tls", HealthCheckType::kTls}});
inline constexpr auto kKeyIsolations = words<bool>({{"off", false}, {"process", true}}, "word", 1);
inline constexpr auto kX25519s = words<X25519>({{"auto", X25519::kAuto}, {"openssl", X25519::kOpenssl}});
inline constexpr auto kReadyWhen = words<bool>({{"serving", false}, {"every_name", true}});
inline constexpr OneWordOf kDryRunPolicies{{"tls13_only", "pq_only", "client_auth"}};

/// A time that must pass; 0s would end everything at once.
inline constexpr DurationText<milliseconds> kTimeout{.minimum = milliseconds(1), .kind = "timeout"};
/// A time that 0s turns off.
inline constexpr DurationText<milliseconds> kTimeoutOrNone{};

template <class Visitor>
void visit_keys(Visitor& visitor, Log& log) {
  visitor.value("level", log.level, kLogLevels);
  visitor.value("format", log.format, kLogFormats);
  visitor.value("access", log.access, kAccessLogs);
  visitor.value("ja4", log.ja4, kSwitch);
}

template <class Visitor>
void visit_keys(Visitor& visitor, Certificate& certificate) {
  visitor.value("certificate", certificate.certificate, Path{});
  visitor.value("private_key", certificate.private_key, SecretPath{});
  visitor.value("ocsp_staple", certificate.ocsp_staple, Path{});
  visitor.value("canary", certificate.canary_percent, SharePercent{});
  visitor.value("canary_for", certificate.canary_for,
                DurationText<milliseconds>{seconds(1), std::chrono::hours(24), "canary_time"});
}

template <class Visitor>
void visit_keys(Visitor& visitor, ClientAllow& allow) {
  visitor.list("spiffe", allow.spiffe, kSpiffePattern, ListForm::kPlain);
  visitor.list("uri", allow.uri, kGlob, ListForm::kPlain);
  visitor.list("dns", allow.dns, kGlob, ListForm::kPlain);
  visitor.list("common_name", allow.common_name, kSubjectName, ListForm::kPlain);
  visitor.list("organizational_unit", allow.organizational_unit, kSubjectName, ListForm::kPlain);
  visitor.list("fingerprint", allow.fingerprint, kFingerprint, ListForm::kPlain);
  visitor.list("public_key", allow.public_key, kFingerprint, ListForm::kPlain);
}

template <class Visitor>
void visit_keys(Visitor& visitor, ClientAuth& client_auth) {
  visitor.value("mode", client_auth.mode, kClientAuthModes);
  visitor.value_or_map("ca", client_auth.ca, client_auth.domain_cas, Path{}, kTrustDomain);
  visitor.value("crl", client_auth.crl, Path{});
  visitor.value("purpose", client_auth.purpose, kClientPurposes);
  visitor.value("cut_live", client_auth.cut_live, kSwitch);
  visitor.admitting_map("allow", client_auth.allow);
}

template <class Visitor>
void visit_keys(Visitor& visitor, NamedClientAuth& named) {
  visitor.list("sni", named.sni, kNamePattern, ListForm::kPlain);
  visit_keys(visitor, named.rules);
}

/// The key `client_auth` holds keys whose values are fields of Tls.
struct ClientAuthKeys {
  ClientAuth& rules;
  std::vector<NamedClientAuth>& by_name;
};

template <class Visitor>
void visit_keys(Visitor& visitor, ClientAuthKeys& client_auth) {
  visit_keys(visitor, client_auth.rules);
  visitor.maps("by_name", client_auth.by_name, "");
}

template <class Visitor>
void visit_keys(Visitor& visitor, Resumption& resumption) {
  visitor.value("tickets", resumption.tickets, kSwitch);
  visitor.value("per_connection", resumption.per_connection, Number<int>{0, 10});
  // A client may keep a ticket for seven days at most (RFC 8446 section 4.6.1).
  visitor.value("lifetime", resumption.lifetime,
                DurationText<seconds>{seconds(1), std::chrono::hours(168), "ticket_lifetime"});
  visitor.value("secret_file", resumption.secret_file, SecretPath{});
  visitor.value("rotate_every", resumption.rotate_every,
                DurationText<seconds>{.minimum = seconds(1), .kind = "whole_seconds"});
}

template <class Visitor>
void visit_keys(Visitor& visitor, Tls& tls) {
  ClientAuthKeys client_auth{tls.client_auth, tls.client_auth_by_name};
  visitor.maps("certificates", tls.certificates, "certificate");
  visitor.list("certificate_dirs", tls.certificate_dirs, Path{}, ListForm::kPlain);
  visitor.value("unknown_name", tls.unknown_name, kUncoveredNames);
  visitor.value("missing_name", tls.missing_name, kUncoveredNames);
  visitor.value("warn_before", tls.warn_before_percent, SharePercent{});
  visitor.value("min_version", tls.min_version, kTlsVersions);
  visitor.value("max_version", tls.max_version, kTlsVersions);
  visitor.list("groups", tls.groups, kGroup, ListForm::kColons);
  visitor.list("cipher_suites", tls.cipher_suites, kCipherSuite, ListForm::kColons);
  visitor.value("ciphers", tls.ciphers, kCiphers);
  visitor.list("alpn", tls.alpn, kAlpn, ListForm::kPlain);
  visitor.map("client_auth", client_auth);
  visitor.map("resumption", tls.resumption);
  visitor.value("record_layer", tls.record_layer, kRecordLayers);
  visitor.value("keylog_file", tls.keylog_file, SecretPath{});
  visitor.list("dry_run", tls.dry_run, kDryRunPolicies, ListForm::kPlain);
}

template <class Visitor>
void visit_keys(Visitor& visitor, ProxyProtocol& proxy_protocol) {
  visitor.list("from", proxy_protocol.from, NetworkText{}, ListForm::kPlain);
}

template <class Visitor>
void visit_keys(Visitor& visitor, ProcessLimits& limits) {
  visitor.value("max_connections", limits.max_connections, Number<std::uint32_t>{});
  visitor.value("handshake_rate", limits.handshake_rate, Number<std::uint32_t>{});
  visitor.value("max_memory", limits.max_memory, SizeText{});
}

template <class Visitor>
void visit_keys(Visitor& visitor, Penalty& penalty) {
  visitor.value("failures", penalty.failures, Number<std::uint32_t>{0, 1'000'000});
  visitor.value("within", penalty.within, kTimeout);
  visitor.value("for", penalty.for_time, kTimeout);
}

template <class Visitor>
void visit_keys(Visitor& visitor, Limits& limits) {
  visitor.value("max_connections", limits.max_connections, Number<std::uint32_t>{});
  visitor.value("max_connections_per_source", limits.max_connections_per_source, Number<std::uint32_t>{});
  visitor.value("max_handshakes", limits.max_handshakes, Number<std::uint32_t>{1});
  visitor.value("handshake_rate", limits.handshake_rate, Number<std::uint32_t>{});
  visitor.value("connection_rate", limits.connection_rate, Number<std::uint32_t>{});
  visitor.value("connection_rate_per_source", limits.connection_rate_per_source, Number<std::uint32_t>{});
  visitor.map("penalty", limits.penalty);
  visitor.value("hello_bytes_per_second", limits.hello_bytes_per_second, Number<std::uint32_t>{});
  visitor.value("read_bytes_per_second", limits.read_bytes_per_second, Number<std::uint32_t>{});
}

template <class Visitor>
void visit_keys(Visitor& visitor, Timeouts& timeouts) {
  visitor.value("handshake", timeouts.handshake, kTimeout);
  visitor.value("idle", timeouts.idle, kTimeout);
  visitor.value("half_close", timeouts.half_close, kTimeout);
  visitor.value("lifetime", timeouts.lifetime, kTimeoutOrNone);
  visitor.value("shutdown", timeouts.shutdown, kTimeout);
}

template <class Visitor>
void visit_keys(Visitor& visitor, Route& route) {
  visitor.list("sni", route.sni, kRoutePattern, ListForm::kAdmitting);
  visitor.list("alpn", route.alpn, kAlpn, ListForm::kAdmitting);
  visitor.list("spiffe", route.spiffe, kSpiffePattern, ListForm::kAdmitting);
  visitor.list("aws_vpc_endpoint", route.aws_vpc_endpoint, kVpcEndpoint, ListForm::kAdmitting);
  visitor.list("azure_private_link", route.azure_private_link, kLinkNumber32, ListForm::kAdmitting);
  visitor.list("gcp_psc_connection", route.gcp_psc_connection, kLinkNumber64, ListForm::kAdmitting);
  visitor.value("passthrough", route.passthrough, kSwitch);
  visitor.value("backend", route.backend, kOptionalLabel);
}

template <class Visitor>
void visit_keys(Visitor& visitor, Bind& bind) {
  visitor.value("address", bind.address, BindAddress{});
  visitor.value("ipv6_only", bind.ipv6_only, kSwitch);
  visitor.value("mode", bind.mode, FileMode{});
  visitor.value("owner", bind.owner, Text{});
  visitor.value("group", bind.group, Text{});
}

template <class Visitor>
void visit_keys(Visitor& visitor, Listener& listener) {
  visitor.value("name", listener.name, kOptionalLabel);
  visitor.maps("bind", listener.bind, "address");
  visitor.value("transparent", listener.transparent, kSwitch);
  visitor.value("backlog", listener.backlog, Number<int>{1, 65535});
  visitor.optional_map("proxy_protocol", listener.proxy_protocol);
  visitor.value("starttls", listener.starttls, kStarttls);
  visitor.optional_map("tls", listener.tls);
  visitor.map("limits", listener.limits);
  visitor.map("timeouts", listener.timeouts);
  visitor.list("allow", listener.allow, NetworkText{}, ListForm::kAdmitting);
  visitor.list("deny", listener.deny, NetworkText{}, ListForm::kPlain);
  visitor.list("probes", listener.probes, NetworkText{}, ListForm::kPlain);
  visitor.maps("routes", listener.routes, "");
  visitor.value("backend", listener.backend, kOptionalLabel);
}

template <class Visitor>
void visit_keys(Visitor& visitor, Server& server) {
  visitor.value("address", server.address, ServerAddress{});
  visitor.value("weight", server.weight, Number<std::uint32_t>{0, 256});
  visitor.value("max_connections", server.max_connections, Number<std::uint32_t>{});
}

template <class Visitor>
void visit_keys(Visitor& visitor, HealthCheck& health_check) {
  visitor.value("type", health_check.type, kHealthCheckTypes);
  visitor.value("send", health_check.send, WireBytes{});
  visitor.value("expect", health_check.expect, WireBytes{});
  visitor.value("interval", health_check.interval, kTimeout);
  visitor.value("timeout", health_check.timeout, kTimeout);
  visitor.value("rise", health_check.rise, Number<int>{1, 100});
  visitor.value("fall", health_check.fall, Number<int>{1, 100});
}

template <class Visitor>
void visit_keys(Visitor& visitor, Ejection& ejection) {
  visitor.value("failures", ejection.failures, Number<int>{0, 1'000'000});
  visitor.value("for", ejection.for_time, kTimeout);
}

template <class Visitor>
void visit_keys(Visitor& visitor, Queue& queue) {
  visitor.value("size", queue.size, Number<std::uint32_t>{});
  visitor.value("timeout", queue.timeout, kTimeout);
}

template <class Visitor>
void visit_keys(Visitor& visitor, BackendTls& tls) {
  visitor.value("server_name", tls.server_name, kServerName);
  visitor.value("ca", tls.ca, Path{"system"});
  visitor.value("verify", tls.verify, kSwitch);
  visitor.value("certificate", tls.certificate, Path{});
  visitor.value("private_key", tls.private_key, SecretPath{});
  visitor.list("alpn", tls.alpn, kBackendAlpn, ListForm::kPlain);
  visitor.value("starttls", tls.starttls, kStarttls);
}

template <class Visitor>
void visit_keys(Visitor& visitor, Backend& backend) {
  visitor.maps("servers", backend.servers, "address");
  visitor.value("balance", backend.balance, kBalances);
  visitor.value("connect_timeout", backend.connect_timeout, kTimeout);
  visitor.value("connect_attempts", backend.connect_attempts, Number<int>{1, 100});
  visitor.map("queue", backend.queue);
  visitor.value("preconnect", backend.preconnect, Number<std::uint32_t>{0, 1000});
  visitor.value("source", backend.source, kSourceAddress);
  visitor.value("send_proxy", backend.send_proxy, kSendProxy);
  visitor.value("send_client_certificate", backend.send_client_certificate, kSwitch);
  visitor.optional_map("health_check", backend.health_check);
  visitor.map("ejection", backend.ejection);
  visitor.value("slow_start", backend.slow_start, kTimeoutOrNone);
  visitor.optional_map("tls", backend.tls);
}

/// The key `admin` holds keys whose values are fields of Config.
struct AdminKeys {
  std::optional<Address>& bind;
  std::optional<Address>& metrics_bind;
  std::string& token_file;
  bool& ready_needs_every_name;
  std::vector<std::string>& names;
};
/// So does `drain`.
struct DrainKeys {
  milliseconds& deadline;
  milliseconds& accept_for;
};

/// `crypto` names the objects of Config, too.
struct CryptoKeys {
  X25519& x25519;
};
/// And so does `workers`.
struct WorkerKeys {
  int& count;
  std::vector<CpuRange>& cpus;
  bool& incoming_cpu;
};

template <class Visitor>
void visit_keys(Visitor& visitor, WorkerKeys& workers) {
  visitor.value("count", workers.count, WorkerCount{});
  visitor.list("cpus", workers.cpus, CpuRangeText{}, ListForm::kPlain);
  visitor.value("incoming_cpu", workers.incoming_cpu, kSwitch);
}

template <class Visitor>
void visit_keys(Visitor& visitor, AdminKeys& admin) {
  visitor.value("bind", admin.bind, AdminBind{});
  visitor.value("metrics_bind", admin.metrics_bind, AdminBind{});
  visitor.value("token_file", admin.token_file, SecretPath{});
  visitor.value("ready", admin.ready_needs_every_name, kReadyWhen);
  visitor.list("names", admin.names, kHostPattern, ListForm::kPlain);
}

template <class Visitor>
void visit_keys(Visitor& visitor, DrainKeys& drain) {
  visitor.value("deadline", drain.deadline, kTimeoutOrNone);
  visitor.value("accept_for", drain.accept_for, kTimeoutOrNone);
}

template <class Visitor>
void visit_keys(Visitor& visitor, CryptoKeys& crypto) {
  visitor.value("x25519", crypto.x25519, kX25519s);
}

template <class Visitor>
void visit_keys(Visitor& visitor, Sources& sources) {
  visitor.list("include", sources.include, IncludePath{}, ListForm::kPlain);
  visitor.list("environment", sources.environment, kVariablePattern, ListForm::kPlain);
}

template <class Visitor>
void visit_keys(Visitor& visitor, Config& config) {
  AdminKeys admin{config.admin, config.admin_metrics, config.admin_token_file, config.ready_needs_every_name,
                  config.admin_names};
  DrainKeys drain{config.drain_deadline, config.drain_accept_for};
  CryptoKeys crypto{config.x25519};
  WorkerKeys workers{config.workers, config.worker_cpus, config.worker_incoming_cpu};
  visitor.value_or_keys("workers", config.workers, WorkerCount{}, workers,
                        config.worker_cpus.empty() && !config.worker_incoming_cpu);
  visitor.map("log", config.log);
  visitor.map("admin", admin);
  visitor.map("drain", drain);
  visitor.value("user", config.user, Text{});
  visitor.value("group", config.group, Text{});
  visitor.value("sandbox", config.sandbox, kSwitch);
  visitor.value("key_isolation", config.key_isolation, kKeyIsolations);
  visitor.map("crypto", crypto);
  visitor.map("limits", config.limits);
  visitor.maps("listeners", config.listeners, "");
  visitor.named_maps("backends", config.backends, kLabel);
}

}  // namespace headgate::config
