#include <gtest/gtest.h>

#include "unit/cli/importing.h"

namespace headgate {
namespace {

constexpr std::string_view kStunnelFile = R"(; servers and a client
setuid = stunnel
cert = /etc/stunnel/default.pem

[imaps]
accept = 993
connect = 143
TIMEOUTidle = 600

[postgres]
accept = 127.0.0.1:5433
connect = db.internal:5432
cert = /etc/stunnel/db.pem
key = /etc/stunnel/db.key
CAfile = /etc/stunnel/ca.pem
verifyChain = yes
requireCert = yes
protocol = pgsql
exec = /bin/true

[api]
sni = imaps:api.example.com
cert = /etc/stunnel/api.pem
connect = 9000

[out]
client = yes
accept = 127.0.0.1:6380
connect = redis.example.com:6380
verifyChain = yes
checkHost = redis.example.com
CAfile = /etc/stunnel/ca.pem
cert = /etc/stunnel/client.pem
)";

TEST(ImportStunnel, TurnsServicesIntoListenersAndBackends) {
  const Imported imported = import_stunnel({kStunnelFile});
  EXPECT_EQ(faults_of(imported), "");
  const config::Config& config = imported.config;
  EXPECT_EQ(config.user, "stunnel");
  ASSERT_EQ(config.listeners.size(), 3u);
  EXPECT_EQ(config.listeners[0].timeouts.idle, std::chrono::seconds(600));
  EXPECT_EQ(config.listeners[0].tls->certificates[0].certificate, "/etc/stunnel/default.pem");
  EXPECT_EQ(config.backends.at("imaps").servers[0].address, "localhost:143");
  EXPECT_EQ(config.listeners[1].starttls, StarttlsProtocol::kPostgres);
  EXPECT_EQ(config.listeners[1].tls->certificates[0].certificate, "/etc/stunnel/db.pem");
  EXPECT_EQ(config.listeners[1].tls->client_auth.mode, config::ClientAuthMode::kRequired);
}

TEST(ImportStunnel, TurnsANamedServiceIntoARouteOfItsMaster) {
  const Imported imported = import_stunnel({kStunnelFile});
  const config::Listener& master = imported.config.listeners[0];
  ASSERT_EQ(master.routes.size(), 1u);
  EXPECT_EQ(master.routes[0].sni, std::vector<std::string>{"api.example.com"});
  EXPECT_EQ(master.routes[0].backend, "api");
  EXPECT_EQ(master.tls->certificates.size(), 2u);
}

TEST(ImportStunnel, NamesAPatternThatTakesMoreLabelsThanOne) {
  std::string file(kStunnelFile);
  file.replace(file.find("imaps:api."), 10, "imaps:*.api.");
  const Imported imported = import_stunnel({file});
  EXPECT_EQ(imported.config.listeners[0].routes[0].sni, std::vector<std::string>{"*.api.example.com"});
  EXPECT_NE(remarks_of(imported).find("error: sni: \"*\" stands for one label"), std::string::npos);
}

TEST(ImportStunnel, TurnsAClientIntoAnOriginatorThatVerifies) {
  const Imported imported = import_stunnel({kStunnelFile});
  EXPECT_FALSE(imported.config.listeners[2].tls);
  const auto& tls = imported.config.backends.at("out").tls;
  ASSERT_TRUE(tls);
  EXPECT_TRUE(tls->verify);
  EXPECT_EQ(tls->server_name, "redis.example.com");
  EXPECT_EQ(tls->certificate, "/etc/stunnel/client.pem");
}

TEST(ImportStunnel, NamesWhatHasNoEqualWithItsLine) {
  const std::string remarks = remarks_of(import_stunnel({kStunnelFile}));
  EXPECT_NE(remarks.find("19 error: exec"), std::string::npos) << remarks;
}

TEST(ImportStunnel, SurvivesEveryPrefixAndEveryDamagedByte) {
  import_damaged(import_stunnel, kStunnelFile);
}

}  // namespace
}  // namespace headgate
