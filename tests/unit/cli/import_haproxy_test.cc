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
    if (listener.bind[0].port() == port) return listener;
  }
  ADD_FAILURE() << "no listener on port " << port;
  return imported.config.listeners.front();
}

TEST(ImportHaproxy, TurnsBindsThatDifferIntoListenersOfTheirOwn) {
  const Imported imported = import_haproxy(kHaproxyFile);
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

TEST(ImportHaproxy, LoadsWithoutFaults) {
  EXPECT_EQ(faults_of(import_haproxy(kHaproxyFile)), "");
}

TEST(ImportHaproxy, TakesServersWithTheirTlsChecksAndWeights) {
  const Imported imported = import_haproxy(kHaproxyFile);
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

TEST(ImportHaproxy, PassesThroughWhatIsRoutedByTheNameBeforeTls) {
  const Imported imported = import_haproxy(R"(
frontend pass
    bind :443
    tcp-request inspect-delay 5s
    use_backend a if { req_ssl_sni -i a.example.com }
    use_backend b if { req.ssl_sni -m end .b.example.com }
backend a
    server a 192.0.2.1:443
backend b
    server b 192.0.2.2:443
)");
  EXPECT_EQ(faults_of(imported), "");
  const auto& routes = imported.config.listeners[0].routes;
  ASSERT_EQ(routes.size(), 2u);
  EXPECT_TRUE(routes[0].passthrough);
  EXPECT_EQ(routes[1].sni, std::vector<std::string>{"*.b.example.com"});
}

TEST(ImportHaproxy, NamesWhatHasNoEqualWithItsLine) {
  const std::string unequal = unequal_of(import_haproxy(kHaproxyFile));
  EXPECT_NE(unequal.find("4: ssl-default-bind-options"), std::string::npos) << unequal;
  EXPECT_NE(unequal.find("15: use_backend app"), std::string::npos) << unequal;
  EXPECT_NE(unequal.find("20: server two: no equivalent in Headgate for backup"), std::string::npos)
      << unequal;
}

TEST(ImportHaproxy, SurvivesEveryPrefixAndEveryDamagedByte) {
  import_damaged(import_haproxy, kHaproxyFile);
}

}  // namespace
}  // namespace headgate
