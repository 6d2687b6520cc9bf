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
admin:
  bind: "127.0.0.1:9464"
drain:
  deadline: 30s
  accept_for: 0s
user: ""
group: ""
sandbox: on
key_isolation: off
listeners:
  - name: "[::]:8443"
    bind: ["[::]:8443"]
    backlog: 4096
    starttls: none
    limits:
      max_connections: 0
      max_connections_per_source: 0
      max_handshakes: 1000
      handshake_rate: 0
    timeouts:
      handshake: 10s
      idle: 5m
      half_close: 1m
      lifetime: 0s
      shutdown: 5s
    allow: []
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
    send_proxy: none
    ejection:
      failures: 5
      for: 10s
)");
}

TEST(Show, WritesTextThatYamlReadsBackByteForByte) {
  Config config = load(small()).config;
  config.user = "a\"b\\c\td\x01\x7f # e: 'f' é\n";
  EXPECT_EQ(load(show(config)).config, config);
}

TEST(Show, LeavesOutAnEmptyBackendNameSoThatItLoadsAgain) {
  Config config = load(small_tls()).config;
  config.listeners[0].routes.push_back({{"a.example"}, {}, {}, false, "app"});
  config.listeners[0].backend.clear();
  const Loaded again = load(show(config));
  EXPECT_EQ(fault_lines(again), "");
  EXPECT_EQ(again.config, config);
}

TEST(QuickStart, IsOneListenerThatTerminatesTlsForOneBackend) {
  const Loaded loaded = quick_start({":8443", "127.0.0.1:8080", "tls.pem", "key.pem"});
  EXPECT_EQ(fault_lines(loaded), "");
  const Loaded written = load_text(show(loaded.config), "shown.yaml", "");
  EXPECT_EQ(fault_lines(written), "");
  EXPECT_EQ(written.config, loaded.config);
  EXPECT_EQ(loaded.config.listeners.at(0).tls->certificates.at(0).private_key, "key.pem");
}

TEST(QuickStart, NamesTheOptionThatIsWrong) {
  const Loaded loaded = quick_start({"8443", "nowhere", "", ""});
  EXPECT_EQ(fault_lines(loaded),
            "--listen: \"8443\" has no port; write \"127.0.0.1:8443\", \"[::1]:8443\", \":8443\" or "
            "\"unix:/run/headgate.sock\"\n"
            "--backend: \"nowhere\" is not a server; write \"host:port\", \"[2001:db8::1]:8080\" or "
            "\"unix:/run/app.sock\"\n"
            "--certificate: a PEM file is needed, leaf first\n");
}

}  // namespace
}  // namespace headgate::config
