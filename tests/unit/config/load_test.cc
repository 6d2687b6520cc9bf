#include "config/load.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "unit/config/loading.h"

namespace headgate::config {
namespace {

TEST(Load, NeedsNoMoreThanABindAndABackend) {
  const Loaded loaded = load(small());
  EXPECT_EQ(fault_lines(loaded), "");
  ASSERT_EQ(loaded.config.listeners.size(), 1u);
  EXPECT_EQ(loaded.config.listeners[0].name, "[::]:8443");
  EXPECT_EQ(loaded.config.listeners[0].bind[0].address.text(), "[::]:8443");
  EXPECT_EQ(loaded.config.backends.at("app").servers[0].address, "127.0.0.1:8080");
}

TEST(Load, ReadsEveryKey) {
  const Loaded loaded = load(R"(
workers: 4
log: {level: debug, format: json, access: all}
admin: {bind: "unix:admin.sock", metrics_bind: ":9465", token_file: token}
drain: {deadline: 90s}
user: headgate
group: proxy
sandbox: off
key_isolation: off
crypto: {x25519: openssl}
limits: {max_connections: 7, handshake_rate: 8, max_memory: 2GiB}
listeners:
  - name: web
    bind:
      - "[::]:8443"
      - {address: "[::1]:8444", ipv6_only: on}
      - {address: "unix:/run/headgate.sock", mode: 0660, owner: www, group: 33}
    backlog: 128
    proxy_protocol: {from: [10.0.0.0/8]}
    starttls: postgres
    tls:
      certificates:
        - {certificate: tls.crt, private_key: /keys/tls.key, ocsp_staple: staple.der}
      certificate_dirs: certs
      unknown_name: reject
      missing_name: reject
      min_version: 1.2
      max_version: "1.3"
      groups: X25519:P-256
      cipher_suites: [TLS_AES_128_GCM_SHA256]
      ciphers: ECDHE+AESGCM
      alpn: [h2, http/1.1]
      client_auth:
        mode: required
        ca: ca.pem
        crl: ca.crl
        cut_live: no
        allow:
          spiffe: "spiffe://prod/ns/web/*"
          uri: ["https://a/*"]
          dns: ["*.example.com"]
          common_name: [alice]
          organizational_unit: [ops]
          fingerprint: ["AB:CDefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef"]
          public_key: EFcdefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef
        by_name:
          - {sni: admin.example.com, mode: optional, ca: admin.pem, allow: {dns: ops.example.com}}
          - {sni: ["*.example.com", b.example]}
      resumption: {tickets: yes, per_connection: 2, lifetime: 1h, secret_file: secret, rotate_every: 30m}
      record_layer: openssl
      keylog_file: keys.log
      dry_run: [tls13_only, pq_only]
    limits:
      max_connections: 1
      max_connections_per_source: 2
      max_handshakes: 3
      handshake_rate: 4
      connection_rate: 5
      connection_rate_per_source: 6
      penalty: {failures: 7, within: 8s, for: 9h}
      hello_bytes_per_second: 10
      read_bytes_per_second: 11
    timeouts: {handshake: 1s, idle: 250ms, half_close: 2m, lifetime: 0s, shutdown: 1h}
    allow: 192.0.2.0/24
    deny: [192.0.2.7]
    probes: ["2001:db8::/32"]
    routes:
      - {sni: [api.example.com, "*.api.example.com"], alpn: h2, spiffe: ["spiffe://prod/*"], backend: app}
      - {sni: legacy.example.com, passthrough: true, backend: legacy}
    backend: app
backends:
  app:
    servers:
      - 127.0.0.1:8080
      - {address: "app.internal:8080", weight: 2, max_connections: 500}
      - unix:app.sock
    balance: source_hash
    connect_timeout: 3s
    connect_attempts: 4
    queue: {size: 9, timeout: 4s}
    send_proxy: v2
    health_check: {type: tls, send: "PING\r\n", expect: "hex:2B504F4Eff", interval: 3s, timeout: 2s, rise: 4, fall: 5}
    ejection: {failures: 6, for: 11s}
    slow_start: 30s
    tls:
      server_name: $sni
      ca: ca.pem
      verify: on
      certificate: client.pem
      private_key: client.key
      alpn: $alpn
      starttls: postgres
  legacy: {servers: 192.0.2.9:443, preconnect: 3}
)");
  EXPECT_EQ(
      fault_lines(loaded),
      "t.yaml:47:19: listeners[0].tls.client_auth.by_name[0].sni[0]: warning: clients that ask for "
      "\"admin.example.com\" reach the same "
      "backend without a certificate, and there may ask for another name (HTTP's Host); give the name a "
      "route "
      "to a backend of its own\n"
      "t.yaml:47:69: listeners[0].tls.client_auth.by_name[0].allow: warning: a client without a certificate "
      "passes, because mode is optional\n"
      "t.yaml:48:20: listeners[0].tls.client_auth.by_name[1].sni[0]: warning: clients that ask for "
      "\"*.example.com\" reach the same "
      "backend without a certificate, and there may ask for another name (HTTP's Host); give the name a "
      "route "
      "to a backend of its own\n"
      "t.yaml:48:37: listeners[0].tls.client_auth.by_name[1].sni[1]: warning: clients that ask for "
      "\"b.example\" reach the same "
      "backend without a certificate, and there may ask for another name (HTTP's Host); give the name a "
      "route "
      "to a backend of its own\n"
      "t.yaml:51:20: listeners[0].tls.keylog_file: warning: anyone who can read \"/etc/headgate/keys.log\" "
      "can decrypt the traffic\n");
  const Config& config = loaded.config;
  EXPECT_EQ(config.workers, 4);
  EXPECT_EQ(config.admin_metrics.value().text(), "[::]:9465");
  EXPECT_EQ(config.admin_token_file, "/etc/headgate/token");
  EXPECT_EQ(config.log, (Log{LogLevel::kDebug, LogFormat::kJson, AccessLog::kAll}));
  EXPECT_EQ(config.admin->text(), "unix:/etc/headgate/admin.sock");
  EXPECT_EQ(config.drain_deadline, seconds(90));
  EXPECT_EQ(config.user + '/' + config.group, "headgate/proxy");
  EXPECT_FALSE(config.sandbox);
  EXPECT_EQ(config.x25519, X25519::kOpenssl);
  EXPECT_EQ(config.limits,
            (ProcessLimits{.max_connections = 7, .handshake_rate = 8, .max_memory = 2048_MiB}));

  EXPECT_EQ(config.listeners.at(0).tls->x25519, X25519::kOpenssl);
  EXPECT_EQ(config.backends.begin()->second.tls->x25519, X25519::kOpenssl);
  const Listener& listener = config.listeners.at(0);
  EXPECT_EQ(listener.name, "web");
  ASSERT_EQ(listener.bind.size(), 3u);
  EXPECT_EQ(listener.bind[1], (Bind{.address = *Address::parse("[::1]:8444"), .ipv6_only = true}));
  EXPECT_EQ(listener.bind[2], (Bind{.address = *Address::parse("unix:/run/headgate.sock"),
                                    .mode = 0660,
                                    .owner = "www",
                                    .group = "33"}));
  EXPECT_EQ(listener.backlog, 128);
  EXPECT_EQ(listener.proxy_protocol->from[0].text(), "10.0.0.0/8");
  EXPECT_EQ(listener.starttls, StarttlsProtocol::kPostgres);
  EXPECT_EQ(listener.limits, (Limits{1, 2, 3, 4, 5, 6, {7, seconds(8), seconds(9 * 3600)}, 10, 11}));
  EXPECT_EQ(listener.timeouts,
            (Timeouts{seconds(1), milliseconds(250), seconds(120), seconds(0), seconds(3600)}));
  EXPECT_EQ(listener.allow[0].text(), "192.0.2.0/24");
  EXPECT_EQ(listener.deny[0].text(), "192.0.2.7/32");
  EXPECT_EQ(listener.probes[0].text(), "2001:db8::/32");
  ASSERT_EQ(listener.routes.size(), 2u);
  EXPECT_EQ(listener.routes[0].sni[1], "*.api.example.com");
  EXPECT_EQ(listener.routes[0].alpn[0], "h2");
  EXPECT_TRUE(listener.routes[1].passthrough);

  const Tls& tls = *listener.tls;
  EXPECT_EQ(tls.certificates[0].certificate, "/etc/headgate/tls.crt");
  EXPECT_EQ(tls.certificates[0].private_key, "/keys/tls.key");
  EXPECT_EQ(tls.certificates[0].ocsp_staple, "/etc/headgate/staple.der");
  EXPECT_EQ(tls.certificate_dirs[0], "/etc/headgate/certs");
  EXPECT_EQ(tls.unknown_name, UncoveredName::kReject);
  EXPECT_EQ(tls.missing_name, UncoveredName::kReject);
  EXPECT_EQ(tls.groups, (std::vector<std::string>{"X25519", "P-256"}));
  EXPECT_EQ(tls.alpn, (std::vector<std::string>{"h2", "http/1.1"}));
  EXPECT_EQ(tls.client_auth.mode, ClientAuthMode::kRequired);
  EXPECT_FALSE(tls.client_auth.cut_live);
  EXPECT_EQ(tls.client_auth.allow.spiffe[0], "spiffe://prod/ns/web/*");
  EXPECT_EQ(tls.client_auth.allow.fingerprint[0],
            "abcdefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef");
  EXPECT_EQ(tls.client_auth.allow.public_key[0],
            "efcdefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef");
  ASSERT_EQ(tls.client_auth_by_name.size(), 2u);
  EXPECT_EQ(tls.client_auth_by_name[0].sni, std::vector<std::string>{"admin.example.com"});
  EXPECT_EQ(tls.client_auth_by_name[0].rules.mode, ClientAuthMode::kOptional);
  EXPECT_EQ(tls.client_auth_by_name[0].rules.ca, "/etc/headgate/admin.pem");
  EXPECT_EQ(tls.client_auth_by_name[0].rules.allow.dns, std::vector<std::string>{"ops.example.com"});
  EXPECT_EQ(tls.client_auth_by_name[1].rules, ClientAuth());
  EXPECT_EQ(tls.resumption, (Resumption{true, 2, seconds(3600), "/etc/headgate/secret", seconds(1800)}));
  EXPECT_EQ(tls.record_layer, RecordLayer::kOpenssl);
  EXPECT_EQ(tls.dry_run, (std::vector<std::string>{"tls13_only", "pq_only"}));

  const Backend& backend = config.backends.at("app");
  EXPECT_EQ(backend.name, "app");
  EXPECT_EQ(backend.servers[1], (Server{"app.internal:8080", 2, 500}));
  EXPECT_EQ(backend.servers[2].address, "unix:/etc/headgate/app.sock");
  EXPECT_EQ(backend.balance, Balance::kSourceHash);
  EXPECT_EQ(backend.connect_attempts, 4);
  EXPECT_EQ(backend.queue, (Queue{9, seconds(4)}));
  EXPECT_EQ(config.backends.at("legacy").preconnect, 3U);
  EXPECT_EQ(backend.send_proxy, SendProxy::kV2);
  EXPECT_EQ(*backend.health_check,
            (HealthCheck{HealthCheckType::kTls, seconds(3), seconds(2), 4, 5, "PING\r\n", "+PON\xff"}));
  EXPECT_EQ(backend.ejection, (Ejection{6, seconds(11)}));
  EXPECT_EQ(backend.slow_start, seconds(30));
  EXPECT_EQ(backend.tls->server_name, "$sni");
  EXPECT_EQ(backend.tls->ca, "/etc/headgate/ca.pem");
  EXPECT_EQ(backend.tls->alpn[0], "$alpn");
  EXPECT_EQ(backend.tls->starttls, StarttlsProtocol::kPostgres);
}

TEST(Load, KeepsSystemAsTheNameOfTheSystemsAuthorities) {
  const Loaded loaded = load(small("", "    tls: {ca: system, server_name: app.internal}\n"));
  EXPECT_EQ(fault_lines(loaded), "");
  EXPECT_EQ(loaded.config.backends.at("app").tls->ca, "system");
}

TEST(Load, TurnsTheAdminEndpointOffHoweverYamlWritesOff) {
  for (const char* off : {"off", "\"off\"", "false", "no", "Off"}) {
    const Loaded loaded = load("admin: {bind: " + std::string(off) + "}\n" + small());
    EXPECT_EQ(fault_lines(loaded), "");
    EXPECT_FALSE(loaded.config.admin);
  }
}

TEST(Load, TakesBooleansInEveryWayYamlWritesThem) {
  for (const char* on : {"on", "true", "yes", "\"on\"", "'true'", "TRUE"}) {
    EXPECT_TRUE(load("sandbox: " + std::string(on) + "\n" + small()).config.sandbox) << on;
  }
  for (const char* off : {"off", "false", "no", "\"off\"", "'false'", "No"}) {
    EXPECT_FALSE(load("sandbox: " + std::string(off) + "\n" + small()).config.sandbox) << off;
  }
}

TEST(Load, TellsEveryFaultInTheOrderOfTheFile) {
  EXPECT_EQ(
      faults_of(R"(workers: many
drain: {deadline: 30}
listeners:
  - bind: 8443
    bakend: app
    timeouts: {idle: 5 minutes}
    backend: ap
backends:
  app:
    servers: 127.0.0.1
)"),
      "t.yaml:1:10: workers: \"many\" is not a number of workers; write \"auto\" or 1 to 1024\n"
      "t.yaml:2:19: drain.deadline: \"30\" has no unit; write 30s for seconds (ms, s, m and h are known)\n"
      "t.yaml:4:11: listeners[0].bind[0].address: \"8443\" has no port; write \"127.0.0.1:8443\", "
      "\"[::1]:8443\", "
      "\":8443\" or \"unix:/run/headgate.sock\"\n"
      "t.yaml:5:5: listeners[0].bakend: unknown key; did you mean \"backend\"?\n"
      "t.yaml:6:22: listeners[0].timeouts.idle: \"5 minutes\" is not a duration; write one like 250ms, 10s, "
      "5m "
      "or "
      "12h\n"
      "t.yaml:7:14: listeners[0].backend: there is no backend \"ap\"; did you mean \"app\"?\n"
      "t.yaml:10:14: backends.app.servers[0].address: \"127.0.0.1\" is not a server; write \"host:port\", "
      "\"[2001:db8::1]:8080\" or \"unix:/run/app.sock\"\n");
}

TEST(Load, TakesAnEjectionThatIsOff) {
  const Loaded loaded = load(R"(listeners:
  - bind: 127.0.0.1:1
    backend: app
backends:
  app:
    servers: 127.0.0.1:2
    ejection: {failures: 0}
)");
  EXPECT_EQ(fault_lines(loaded), "");
  EXPECT_EQ(loaded.config.backends.at("app").ejection.failures, 0);
}

TEST(Load, SaysThatAFileCannotBeOpened) {
  EXPECT_EQ(fault_lines(load_file("/nowhere/headgate.yaml")),
            "/nowhere/headgate.yaml: cannot be opened: No such file or directory\n");
  EXPECT_EQ(fault_lines(load_file("/")), "/: cannot be read: Is a directory\n");
  EXPECT_FALSE(load_file("/nowhere/headgate.yaml").usable());
}

TEST(Load, ReadsNoDeviceWithoutAnEnd) {
  EXPECT_EQ(fault_lines(load_file("/dev/zero")),
            "/dev/zero: is longer than 16 MiB; no configuration is that long\n");
}

TEST(Load, ResolvesPathsFromTheDirectoryOfTheFile) {
  const std::string directory = testing::TempDir();
  const std::string path = directory + "headgate_load_test.yaml";
  std::ofstream(path) << small_tls();
  const Loaded loaded = load_file(path);
  EXPECT_EQ(fault_lines(loaded), "");
  EXPECT_EQ(loaded.config.listeners.at(0).tls->certificates[0].certificate, directory + "tls.pem");
}

TEST(Load, IsUsableWithWarningsAndNotWithFaults) {
  EXPECT_TRUE(load(small("", "    tls: {verify: off}\n")).usable());
  EXPECT_FALSE(load("nonsense: 1\n" + small()).usable());
}

}  // namespace
}  // namespace headgate::config
