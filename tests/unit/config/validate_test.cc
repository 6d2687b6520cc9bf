#include "config/validate.h"

#include <string>

#include <gtest/gtest.h>

#include "unit/config/loading.h"

namespace headgate::config {
namespace {

std::string with_routes(const std::string& routes) {
  return faults_of(small_tls("    routes: [" + routes + "]\n"));
}

TEST(Validate, NeedsAListenerWithABindAndSomewhereToGo) {
  EXPECT_EQ(faults_of("{}"),
            "t.yaml:1:1: listeners: at least one listener is needed, with \"bind\" and \"backend\"\n");
  EXPECT_EQ(faults_of("listeners: [{name: web}]"),
            "t.yaml:1:13: listeners[0]: needs \"backend\" or \"routes\": where its connections go\n"
            "t.yaml:1:13: listeners[0]: needs \"bind\": where it listens, like \":8443\"\n");
}

TEST(Validate, NeedsABackendForEachRouteAndServersForEachBackend) {
  EXPECT_EQ(with_routes("{sni: a.example}"),
            "t.yaml:6:14: listeners[0].routes[0]: a route needs \"backend\": where its connections go\n");
  EXPECT_EQ(with_routes("{sni: a.example, backend: other}"),
            "t.yaml:6:40: listeners[0].routes[0].backend: there is no backend \"other\"\n");
  EXPECT_EQ(faults_of("listeners: [{bind: :1, backend: app}]\nbackends:\n  app: {balance: round_robin}\n"),
            "t.yaml:3:3: backends.app: needs \"servers\": one or more like \"127.0.0.1:8080\"\n");
}

TEST(Validate, RefusesANameOrAnAddressUsedTwice) {
  EXPECT_EQ(
      faults_of(R"(listeners:
  - {name: web, bind: ":8443", backend: app}
  - {name: web, bind: ":8443", backend: app}
  - {name: admin, bind: 127.0.0.1:9464, backend: app}
  - {name: any, bind: [127.0.0.1:0, 127.0.0.1:0], backend: app}
backends: {app: {servers: [127.0.0.1:1, 127.0.0.1:1]}}
)"),
      "t.yaml:3:12: listeners[1].name: \"web\" is the name of listeners[0] already; each listener needs its "
      "own\n"
      "t.yaml:3:23: listeners[1].bind[0]: \"[::]:8443\" is bound by listeners[0].bind[0] already; give it "
      "another port\n"
      "t.yaml:4:25: listeners[2].bind[0]: \"127.0.0.1:9464\" is bound by admin.bind already; give it another "
      "port\n"
      "t.yaml:6:41: backends.app.servers[1]: \"127.0.0.1:1\" is servers[0] already; use \"weight\" to give "
      "it "
      "more\n");
}

TEST(Validate, NeedsACertificateUnlessEverythingPassesThrough) {
  EXPECT_EQ(faults_of(small("    tls: {alpn: h2}\n")),
            "t.yaml:4:5: listeners[0].tls: needs \"certificates\" or \"certificate_dirs\"\n");
  EXPECT_EQ(faults_of(small("    tls: {certificates: [{private_key: a.key}]}\n")),
            "t.yaml:4:26: listeners[0].tls.certificates[0]: needs \"certificate\": a PEM file, leaf first\n");
  EXPECT_EQ(faults_of(R"(listeners:
  - {bind: ":1", tls: {alpn: h2}, routes: [{sni: a.example, passthrough: on, backend: app}]}
backends: {app: {servers: 127.0.0.1:1}}
)"),
            "");
}

TEST(Validate, RefusesVersionsThatLeaveNone) {
  EXPECT_EQ(faults_of(small_tls("      min_version: 1.3\n      max_version: 1.2\n")),
            "t.yaml:6:20: listeners[0].tls.min_version: is above max_version; no client could connect\n");
}

TEST(Validate, NeedsTlsForStarttls) {
  EXPECT_EQ(faults_of(small("    starttls: smtp\n")),
            "t.yaml:4:15: listeners[0].starttls: needs \"tls\" in the listener: the upgrade leads to TLS\n");
}

TEST(Validate, RefusesClientAuthThatChecksNobody) {
  EXPECT_EQ(
      faults_of(small_tls("      client_auth: {mode: required}\n")),
      "t.yaml:6:7: listeners[0].tls.client_auth: needs \"ca\": the PEM file of the CAs of the clients\n");
  EXPECT_EQ(faults_of(small_tls("      client_auth: {ca: ca.pem}\n")),
            "t.yaml:6:7: listeners[0].tls.client_auth: has no effect, because mode is none; write \"mode: "
            "required\" "
            "or leave the rest out\n");
}

TEST(Validate, RefusesConditionsThatCanNeverHold) {
  EXPECT_EQ(faults_of(small("    routes: [{sni: a.example, backend: app}]\n")),
            "t.yaml:4:14: listeners[0].routes[0]: can never match: the listener has no \"tls\"\n");
  EXPECT_EQ(with_routes("{alpn: h2, backend: app}"),
            "t.yaml:6:15: listeners[0].routes[0].alpn: \"h2\" can never match: the listener's tls.alpn does "
            "not offer "
            "it\n");
  EXPECT_EQ(with_routes("{spiffe: \"spiffe://a/*\", backend: app}"),
            "t.yaml:6:15: listeners[0].routes[0].spiffe: can never match: tls.client_auth.mode is none, so "
            "no client "
            "shows a certificate\n");
  EXPECT_EQ(with_routes("{backend: app}, {sni: a.example, backend: app}"),
            "t.yaml:6:30: listeners[0].routes[1]: warning: is never reached: routes[0] has no condition\n");
}

TEST(Validate, NeedsANameForWhatPassesThrough) {
  EXPECT_EQ(with_routes("{passthrough: on, backend: app}"),
            "t.yaml:6:28: listeners[0].routes[0].passthrough: needs \"sni\" too: the name that the client "
            "asks for decides what passes through\n");
  EXPECT_EQ(faults_of(small("    routes: [{passthrough: on, backend: app}]\n")),
            "t.yaml:4:28: listeners[0].routes[0].passthrough: needs \"tls\" in the listener\n");
}

TEST(Validate, RefusesATlsBackendThatCannotBeVerified) {
  EXPECT_EQ(
      faults_of(small("", "    tls: {private_key: a.key}\n")),
      "t.yaml:7:24: backends.app.tls.private_key: needs \"certificate\" too: the certificate of this key\n");
  EXPECT_EQ(faults_of(small("", "    tls: {server_name: $sni}\n")),
            "t.yaml:3:14: listeners[0].backend: backend \"app\" passes the client's name on (\"$sni\"), but "
            "clients of "
            "a listener without tls give none\n");
  EXPECT_EQ(
      faults_of(
          "listeners: [{bind: :1, backend: app}]\nbackends: {app: {servers: unix:/a, tls: {ca: system}}}\n"),
      "t.yaml:2:36: backends.app.tls: needs \"server_name\": a unix socket has no host name to verify\n");
}

TEST(Validate, NeedsSourcesThatSendAProxyHeader) {
  EXPECT_EQ(
      faults_of(small("    proxy_protocol: {from: []}\n")),
      "t.yaml:4:5: listeners[0].proxy_protocol: needs \"from\": the networks that send a PROXY header\n");
}

TEST(Validate, WarnsOfWhatWillHurt) {
  EXPECT_EQ(
      faults_of(small("", "    tls: {verify: off}\n")),
      "t.yaml:7:19: backends.app.tls.verify: warning: any server that answers is trusted; give \"ca\" and "
      "leave verify "
      "on\n");
  EXPECT_EQ(faults_of("admin: {bind: \":9464\"}\n" + small()),
            "t.yaml:1:15: admin.bind: warning: any client that reaches [::]:9464 can drain and reload; bind "
            "127.0.0.1 or a "
            "unix socket, or guard the port\n");
  EXPECT_EQ(
      faults_of(small("", "  spare: {servers: 127.0.0.1:2}\n")),
      "t.yaml:7:3: backends.spare: warning: this backend is not used: no listener and no route names it\n");
}

TEST(Validate, WarnsOfALifetimeThatIsLongerThanTicketKeysAreKept) {
  const auto faults = [](const std::string& resumption) {
    return faults_of(small_tls("      resumption: {" + resumption + "}\n"));
  };
  EXPECT_EQ(faults("lifetime: 24h"), "");
  EXPECT_EQ(faults("lifetime: 64s, rotate_every: 1s"), "");
  EXPECT_EQ(
      faults("lifetime: 168h, rotate_every: 1h"),
      "t.yaml:6:30: listeners[0].tls.resumption.lifetime: warning: a ticket may resume nothing after 64h: "
      "its key is kept for 64 times rotate_every\n");
}

TEST(Validate, WarnsOfAStarInANameThatIsComparedWhole) {
  const auto faults = [](const std::string& allow) {
    return faults_of(small_tls("      client_auth: {mode: required, ca: ca.pem, allow: {" + allow + "}}\n"));
  };
  EXPECT_EQ(faults("spiffe: \"spiffe://a/*\", uri: \"urn:*\", dns: \"*.a\", common_name: a"), "");
  EXPECT_EQ(
      faults("common_name: [db, \"app-*\"]"),
      "t.yaml:6:75: listeners[0].tls.client_auth.allow.common_name[1]: warning: \"app-*\" matches only a "
      "name that has the \"*\" in it: \"*\" is a pattern in spiffe, uri and dns alone\n");
  EXPECT_EQ(faults("organizational_unit: \"*\""),
            "t.yaml:6:78: listeners[0].tls.client_auth.allow.organizational_unit[0]: warning: \"*\" matches "
            "only a name that has the \"*\" in it: \"*\" is a pattern in spiffe, uri and dns alone\n");
}

}  // namespace
}  // namespace headgate::config
