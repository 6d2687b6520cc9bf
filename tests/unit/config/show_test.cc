#include "config/show.h"

#include <string>

#include <gtest/gtest.h>

#include "config/quick_start.h"
#include "unit/config/loading.h"

namespace headgate::config {
namespace {

TEST(Show, FillsInEveryDefault) {
  EXPECT_EQ(show(load(small()).config), R"(workers: auto
log:
  level: info
  format: text
  access: failures
  ja4: off
admin:
  bind: "127.0.0.1:9464"
  metrics_bind: "off"
  token_file: ""
  ready: serving
  names: []
drain:
  deadline: 30s
  accept_for: 0s
user: ""
group: ""
sandbox: on
key_isolation: off
crypto:
  x25519: auto
limits:
  max_connections: 0
  handshake_rate: 0
  max_memory: 0
listeners:
  - name: "[::]:8443"
    bind:
      - address: "[::]:8443"
        ipv6_only: off
        mode: ""
        owner: ""
        group: ""
    transparent: off
    backlog: 4096
    starttls: none
    limits:
      max_connections: 0
      max_connections_per_source: 0
      max_handshakes: 1000
      handshake_rate: 0
      connection_rate: 0
      connection_rate_per_source: 0
      penalty:
        failures: 0
        within: 1m
        for: 1m
      hello_bytes_per_second: 100
      read_bytes_per_second: 0
    timeouts:
      handshake: 10s
      idle: 5m
      half_close: 1m
      lifetime: 0s
      shutdown: 5s
    # allow: all
    deny: []
    probes: []
    routes: []
    backend: "app"
backends:
  "app":
    servers:
      - address: "127.0.0.1:8080"
        weight: 1
        max_connections: 0
    balance: round_robin
    connect_timeout: 2s
    connect_attempts: 2
    queue:
      size: 0
      timeout: 1s
    preconnect: 0
    source: ""
    send_proxy: none
    send_client_certificate: off
    ejection:
      failures: 5
      for: 10s
    slow_start: 0s
)");
}

TEST(Show, WritesASizeInTheLargestUnitThatHoldsItExactly) {
  Config config = load(small()).config;
  for (const auto& [size, text] :
       {std::pair{3_KiB, "3KiB"}, {2048_KiB, "2MiB"}, {1536_MiB, "1536MiB"}, {2048_MiB, "2GiB"}}) {
    config.limits.max_memory = size;
    EXPECT_NE(show(config).find("  max_memory: " + std::string(text) + "\n"), std::string::npos) << text;
    EXPECT_EQ(load(show(config)).config, config);
  }
}

TEST(Show, WritesTextThatYamlReadsBackByteForByte) {
  Config config = load(small()).config;
  config.user = "a\"b\\c\td\x01\x7f # e: 'f' é\n";
  EXPECT_EQ(load(show(config)).config, config);
}

TEST(Show, WritesTheBytesOfACheckAsTextWhereTheyAreSome) {
  Config config = load(small()).config;
  HealthCheck& check = config.backends.at("app").health_check.emplace();
  check.send = "PING\r\n";
  check.expect = std::string("\0\xff", 2);
  const std::string shown = show(config);
  EXPECT_NE(shown.find("send: \"PING\\x0D\\x0A\"\n      expect: \"hex:00ff\"\n"), shown.npos) << shown;
  check.expect = "hex:41";
  EXPECT_EQ(load(show(config)).config, config) << "what looks like digits of bytes is a text itself";
}

TEST(Show, LeavesOutAnEmptyBackendNameSoThatItLoadsAgain) {
  Config config = load(small_tls()).config;
  config.listeners[0].routes.push_back({{"a.example"}, {}, {}, false, "app"});
  config.listeners[0].backend.clear();
  const Loaded again = load(show(config));
  EXPECT_EQ(fault_lines(again), "");
  EXPECT_EQ(again.config, config);
}

TEST(Show, SaysInACommentThatAListAdmitsAllSoThatItLoadsAgain) {
  Config config = load(small_tls("      client_auth: {mode: required, ca: a.pem}\n")).config;
  config.listeners[0].routes.push_back({{}, {}, {"spiffe://prod/*"}, false, "app"});
  config.listeners[0].routes.push_back({{}, {}, {}, false, "app"});
  const Loaded again = load(show(config));
  EXPECT_EQ(fault_lines(again), "");
  EXPECT_EQ(again.config, config);
  EXPECT_NE(show(config).find("        # allow: all\n"), std::string::npos) << show(config);
}

TEST(Show, WritesTheCaOfEachTrustDomain) {
  const Config config =
      load(small_tls("      client_auth: {mode: required, ca: {prod: a.pem, staging: /b.pem}}\n")).config;
  EXPECT_EQ(config.listeners[0].tls->client_auth.domain_cas.at("staging"), "/b.pem");
  EXPECT_EQ(load(show(config)).config, config);
  EXPECT_NE(show(config).find("        ca:\n          \"prod\": \""), std::string::npos) << show(config);
}

TEST(ShowChanges, LeavesOutWhatIsTheDefault) {
  Config config = load(small_tls("", "    health_check: {}\n")).config;
  config.listeners[0].limits.penalty.failures = 3;
  EXPECT_EQ(show_changes(config), R"(listeners:
  - name: "[::]:8443"
    bind:
      - address: "[::]:8443"
    tls:
      certificates:
        - certificate: "/etc/headgate/tls.pem"
    limits:
      penalty:
        failures: 3
    backend: "app"
backends:
  "app":
    servers:
      - address: "127.0.0.1:8080"
    health_check: {}
)");
  EXPECT_EQ(load(show_changes(config)).config, config);
}

TEST(ShowChanges, WritesEachKeyThatIsNotTheDefault) {
  Config config =
      load(small_tls("      client_auth: {mode: required, ca: {prod: a.pem}}\n", "    tls: {verify: off}\n"))
          .config;
  config.worker_cpus = {{1, 2}};
  config.admin.reset();
  config.drain_accept_for = seconds(3);
  config.listeners[0].tls->groups = {"P-256"};
  config.listeners[0].tls->client_auth.allow.dns = {"*.a.test"};
  config.listeners[0].tls->client_auth_by_name.push_back({{"b.test"}, {}});
  config.listeners[0].routes.push_back({{}, {}, {}, false, "app"});
  config.listeners[0].proxy_protocol.emplace();
  config.backends.at("app").servers[0].weight = 0;
  const Loaded again = load(show_changes(config));
  EXPECT_EQ(again.config, config) << show_changes(config) << fault_lines(again);
}

TEST(QuickStart, IsOneListenerThatTerminatesTlsForOneBackend) {
  const Loaded loaded = quick_start({":8443", "127.0.0.1:8080", "tls.pem", "key.pem", "off"});
  EXPECT_EQ(fault_lines(loaded), "");
  const Loaded written = load_text(show(loaded.config), "shown.yaml", "");
  EXPECT_EQ(fault_lines(written), "");
  EXPECT_EQ(written.config, loaded.config);
  EXPECT_EQ(loaded.config.listeners.at(0).tls->certificates.at(0).private_key, "key.pem");
  EXPECT_FALSE(loaded.config.admin);
}

TEST(QuickStart, RefusesABackendThatIsTheListener) {
  EXPECT_EQ(
      fault_lines(quick_start({":8443", "localhost:8443", "tls.pem", "", "off"})),
      "--backend: \"localhost:8443\" is where listener \"quick\" listens: each connection would make others "
      "without end; give the address of the service\n");
}

TEST(QuickStart, NamesTheOptionThatIsWrong) {
  const Loaded loaded = quick_start({"8443", "nowhere", "", "", "nowhere"});
  EXPECT_EQ(fault_lines(loaded),
            "--listen: \"8443\" has no port; write \"127.0.0.1:8443\", \"[::1]:8443\", \":8443\" or "
            "\"unix:/run/headgate.sock\"\n"
            "--backend: \"nowhere\" is not a server; write \"host:port\", \"[2001:db8::1]:8080\" or "
            "\"unix:/run/app.sock\"\n"
            "--certificate: a PEM file is needed, leaf first\n"
            "--admin: \"nowhere\" has no port; write \"127.0.0.1:8443\", \"[::1]:8443\", \":8443\" or "
            "\"unix:/run/headgate.sock\"\n");
}

}  // namespace
}  // namespace headgate::config
