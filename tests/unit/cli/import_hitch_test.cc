#include <gtest/gtest.h>

#include "unit/cli/importing.h"

namespace headgate {
namespace {

constexpr std::string_view kHitchFile = R"(# a proxy before varnish
frontend = {
    host = "*"
    port = "443"
}
frontend = "[127.0.0.1]:8443"
backend = "[127.0.0.1]:8080"
workers = 4
user = "hitch:proxy"
pem-file = "/etc/hitch/a.pem"
pem-file = { cert = "/etc/hitch/b.crt" private-key = "/etc/hitch/b.key" }
alpn-protos = "h2, http/1.1"
tls-protos = TLSv1.1 TLSv1.2
write-proxy-v2 = on
keepalive = 3600
chroot = "/var/empty"
)";

TEST(ImportHitch, TakesFrontendsBackendCertificatesAndProtocols) {
  const Imported imported = import_hitch({kHitchFile});
  EXPECT_EQ(faults_of(imported), "");
  const config::Config& config = imported.config;
  EXPECT_EQ(config.workers, 4);
  EXPECT_EQ(config.user, "hitch");
  EXPECT_EQ(config.group, "proxy");
  ASSERT_EQ(config.listeners.size(), 2u);
  EXPECT_EQ(config.listeners[0].bind[0].address.port(), 443);
  EXPECT_EQ(config.listeners[1].bind[0].address.text(), "127.0.0.1:8443");
  ASSERT_TRUE(config.listeners[1].tls);
  ASSERT_EQ(config.listeners[1].tls->certificates.size(), 2u);
  EXPECT_EQ(config.listeners[1].tls->certificates[0].private_key,
            "/etc/hitch/b.key");  // the last is the default
  EXPECT_EQ(config.listeners[0].tls->alpn, (std::vector<std::string>{"h2", "http/1.1"}));
  EXPECT_EQ(config.backends.at("app").servers[0].address, "127.0.0.1:8080");
  EXPECT_EQ(config.backends.at("app").send_proxy, config::SendProxy::kV2);
}

TEST(ImportHitch, NamesWhatHasNoEqualWithItsLine) {
  const std::string remarks = remarks_of(import_hitch({kHitchFile}));
  EXPECT_NE(remarks.find("16 note: chroot"), std::string::npos) << remarks;
  EXPECT_NE(remarks.find("15 note: keepalive"), std::string::npos) << remarks;
}

TEST(ImportHitch, SaysThatVersionsBelowTls12AreNotSpoken) {
  const std::string remarks = remarks_of(import_hitch({"tls-protos = \"TLSv1.1 TLSv1.2\"\n"}));
  EXPECT_NE(remarks.find("TLSv1.1"), std::string::npos) << remarks;
}

TEST(ImportHitch, TurnsAClientIntoAPlaintextListenerBeforeATlsBackend) {
  const Imported imported =
      import_hitch({"client = on\nfrontend = \"[*]:80\"\nbackend = \"[192.0.2.1]:443\"\n"});
  EXPECT_EQ(faults_of(imported), "");
  EXPECT_FALSE(imported.config.listeners[0].tls);
  EXPECT_TRUE(imported.config.backends.at("app").tls);
}

TEST(ImportHitch, SurvivesEveryPrefixAndEveryDamagedByte) {
  import_damaged(import_hitch, kHitchFile);
}

}  // namespace
}  // namespace headgate
