#include <gtest/gtest.h>

#include "unit/cli/importing.h"

namespace headgate {
namespace {

constexpr std::string_view kHaproxyFile = R"(global
    user haproxy
    nbthread 4
    ssl-default-bind-options no-sslv3
defaults
    mode tcp
    timeout connect 3s
    timeout client 1m
frontend web
    bind :443,:8443 ssl crt /etc/ssl/a.pem crt /etc/ssl/b.pem alpn h2,http/1.1 ssl-min-ver TLSv1.3
    bind :80
    maxconn 2000
    acl is_api ssl_fc_sni -i api.example.com
    use_backend api if is_api
    use_backend app if { src 10.0.0.0/8 }
    default_backend app
backend api
    balance leastconn
    server one 192.0.2.1:443 ssl verify required ca-file /etc/ssl/ca.pem sni str(api.internal) check inter 5s weight 3
    server two 192.0.2.2:443 ssl verify required ca-file /etc/ssl/ca.pem backup
backend app
    server one 127.0.0.1:8080 send-proxy-v2 maxconn 100
listen db
    bind 127.0.0.1:5433
    server db 127.0.0.1:5432
)";

const config::Listener& listener_at(const Imported& imported, int port) {
  for (const auto& listener : imported.config.listeners) {
    if (listener.bind[0].address.port() == port) return listener;
  }
  ADD_FAILURE() << "no listener on port " << port;
  return imported.config.listeners.front();
}

TEST(ImportHaproxy, TurnsBindsThatDifferIntoListenersOfTheirOwn) {
  const Imported imported = import_haproxy({kHaproxyFile});
  ASSERT_EQ(imported.config.listeners.size(), 3u);
  const config::Listener& web = listener_at(imported, 443);
  EXPECT_EQ(web.bind.size(), 2u);
  ASSERT_TRUE(web.tls);
  EXPECT_EQ(web.tls->certificates.size(), 2u);
  EXPECT_EQ(web.tls->min_version, config::TlsVersion::kTls13);
  EXPECT_EQ(web.limits.max_connections, 2000u);
  EXPECT_EQ(web.timeouts.idle, std::chrono::minutes(1));
  EXPECT_EQ(web.backend, "app");
  ASSERT_EQ(web.routes.size(), 1u);
  EXPECT_EQ(web.routes[0].sni, std::vector<std::string>{"api.example.com"});
  EXPECT_FALSE(listener_at(imported, 80).tls);
}

TEST(ImportHaproxy, TakesOverTheLimitsOfTheProcess) {
  const Imported imported = import_haproxy({"global\n  maxconn 20000\n  maxsslrate 300\n"});
  EXPECT_EQ(imported.config.limits, (config::ProcessLimits{.max_connections = 20000, .handshake_rate = 300}));
  EXPECT_TRUE(imported.remarks.empty());
}

TEST(ImportHaproxy, TakesOverThatAnIpv6BindTakesNoIpv4) {
  const Imported imported = import_haproxy({R"(frontend f
  bind 0.0.0.0:443
  bind [::]:443 v6only accept-proxy
  bind [::]:444 v4v6
  default_backend app
backend app
  server one 127.0.0.1:1
)"});
  ASSERT_EQ(imported.config.listeners.size(), 2u);
  EXPECT_TRUE(imported.config.listeners[1].bind[0].ipv6_only);
  for (const config::Bind& bind : imported.config.listeners[0].bind) EXPECT_FALSE(bind.ipv6_only);
  EXPECT_TRUE(imported.config.listeners[1].deny.empty());
}

TEST(ImportHaproxy, LoadsWithoutFaults) {
  EXPECT_EQ(faults_of(import_haproxy({kHaproxyFile})), "");
}

TEST(ImportHaproxy, TakesServersWithTheirTlsChecksAndWeights) {
  const Imported imported = import_haproxy({kHaproxyFile});
  const config::Backend& api = imported.config.backends.at("api");
  EXPECT_EQ(api.balance, config::Balance::kLeastConnections);
  EXPECT_EQ(api.connect_timeout, std::chrono::seconds(3));
  EXPECT_EQ(api.servers[0].weight, 3u);
  ASSERT_TRUE(api.tls);
  EXPECT_EQ(api.tls->server_name, "api.internal");
  ASSERT_TRUE(api.health_check);
  EXPECT_EQ(api.health_check->interval, std::chrono::seconds(5));
  EXPECT_EQ(imported.config.backends.at("app").send_proxy, config::SendProxy::kV2);
  EXPECT_EQ(imported.config.backends.at("app").servers[0].max_connections, 100u);
}

TEST(ImportHaproxy, TakesTheLongestSlowStartOfTheServers) {
  const Imported imported = import_haproxy({R"(frontend f
  bind :443
  default_backend app
backend app
  default-server slowstart 20s
  server one 127.0.0.1:1 check slowstart 1m
  server two 127.0.0.1:2 check
)"});
  EXPECT_EQ(imported.config.backends.at("app").slow_start, std::chrono::minutes(1));
}

TEST(ImportHaproxy, TakesTheQueueThatServersWithABoundHave) {
  const auto queue = [](const std::string& lines) {
    return import_haproxy({"frontend f\n  bind :443\n  default_backend app\nbackend app\n" + lines})
        .config.backends.at("app")
        .queue;
  };
  EXPECT_EQ(queue("  server one 127.0.0.1:1\n"), config::Queue());
  EXPECT_EQ(queue("  timeout connect 3s\n  server one 127.0.0.1:1 maxconn 5\n"),
            (config::Queue{4294967295, std::chrono::seconds(3)}));
  EXPECT_EQ(queue("  timeout queue 30s\n  server one 127.0.0.1:1 maxconn 5 maxqueue 10\n"
                  "  server two 127.0.0.1:2 maxconn 5 maxqueue 20\n"),
            (config::Queue{30, std::chrono::seconds(30)}));
}

TEST(ImportHaproxy, PassesThroughWhatIsRoutedByTheNameBeforeTls) {
  const Imported imported = import_haproxy({R"(
frontend pass
    bind :443
    tcp-request inspect-delay 5s
    use_backend a if { req_ssl_sni -i a.example.com }
    use_backend b if { req.ssl_sni -m end .b.example.com }
backend a
    server a 192.0.2.1:443
backend b
    server b 192.0.2.2:443
)"});
  const auto& routes = imported.config.listeners[0].routes;
  ASSERT_EQ(routes.size(), 2u);
  EXPECT_TRUE(routes[0].passthrough);
  EXPECT_EQ(routes[1].sni, std::vector<std::string>{"*.b.example.com"});
}

TEST(ImportHaproxy, PassesTheRestThroughToTheDefaultBackend) {
  const Imported imported = import_haproxy({R"(
frontend pass
    bind :443
    use_backend a if { req_ssl_sni -i a.example.com }
    default_backend b
backend a
    server a 192.0.2.1:443
backend b
    server b 192.0.2.2:443
)"});
  const config::Listener& listener = imported.config.listeners[0];
  ASSERT_EQ(listener.routes.size(), 2u);
  EXPECT_EQ(listener.routes[1].sni, std::vector<std::string>{"*"});
  EXPECT_TRUE(listener.routes[1].passthrough);
  EXPECT_EQ(listener.routes[1].backend, "b");
  EXPECT_EQ(listener.backend, "");
  EXPECT_FALSE(imported.lost_a_rule());
  EXPECT_EQ(faults_of(imported), "");
}

TEST(ImportHaproxy, NamesWhatHasNoEqualWithItsLine) {
  const std::string remarks = remarks_of(import_haproxy({kHaproxyFile}));
  EXPECT_NE(remarks.find("14 note: use_backend api"), std::string::npos) << remarks;
  EXPECT_NE(remarks.find("15 error: use_backend app"), std::string::npos) << remarks;
  EXPECT_NE(remarks.find("20 error: server: no equivalent in Headgate for backup"), std::string::npos)
      << remarks;
}

TEST(ImportHaproxy, SurvivesEveryPrefixAndEveryDamagedByte) {
  import_damaged(import_haproxy, kHaproxyFile);
}

}  // namespace
}  // namespace headgate
