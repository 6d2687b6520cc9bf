#include "config/validate.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/config/loading.h"

namespace headgate::config {
namespace {

using testing::HasSubstr;
using testing::Not;

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

TEST(Validate, WarnsOfLimitsOnHandshakesWhereThereAreNone) {
  const std::string limits = "    limits: {handshake_rate: 5, penalty: {failures: 3}}\n";
  EXPECT_THAT(
      faults_of(small(limits)),
      testing::AllOf(HasSubstr("t.yaml:4:30: listeners[0].limits.handshake_rate: warning: has no effect"),
                     HasSubstr("listeners[0].limits.penalty: warning: has no effect")));
  EXPECT_EQ(faults_of(small_tls(limits)), "");
  EXPECT_EQ(faults_of(small("    limits: {connection_rate: 5, connection_rate_per_source: 3}\n")), "");
}

TEST(Validate, RefusesANameOrAnAddressUsedTwice) {
  EXPECT_EQ(
      faults_of(R"(listeners:
  - {name: web, bind: ":8443", backend: app}
  - {name: web, bind: ":8443", backend: app}
  - {name: admin, bind: 127.0.0.1:9464, backend: app}
  - {name: any, bind: [127.0.0.1:0, 127.0.0.1:0], backend: app}
backends: {app: {servers: [127.0.0.1:2, 127.0.0.1:2]}}
)"),
      "t.yaml:3:12: listeners[1].name: \"web\" is the name of listeners[0] already; each listener needs its "
      "own\n"
      "t.yaml:3:23: listeners[1].bind[0]: \"[::]:8443\" is bound by listeners[0].bind[0] already; give it "
      "another port\n"
      "t.yaml:4:25: listeners[2].bind[0]: \"127.0.0.1:9464\" is bound by admin.bind already; give it another "
      "port\n"
      "t.yaml:6:41: backends.app.servers[1]: \"127.0.0.1:2\" is servers[0] already; use \"weight\" to give "
      "it "
      "more\n");
}

TEST(Validate, RefusesAnAddressOfMetricsThatIsInUse) {
  const auto faults_with = [](const std::string& admin) {
    return faults_of("admin: {" + admin + "}\n" + small());
  };
  EXPECT_EQ(
      faults_with("bind: 127.0.0.1:9000, metrics_bind: 127.0.0.1:9000"),
      "t.yaml:1:45: admin.metrics_bind: \"127.0.0.1:9000\" is admin.bind already; give it another port\n");
  EXPECT_EQ(faults_with("metrics_bind: \":9465\""), "") << "it changes nothing, so it may be open";
  EXPECT_EQ(
      faults_of("admin: {metrics_bind: 127.0.0.1:2}\nlisteners:\n  - {bind: 127.0.0.1:2, backend: app}\n"
                "backends: {app: {servers: 127.0.0.1:3}}\n"),
      "t.yaml:3:12: listeners[0].bind[0]: \"127.0.0.1:2\" is bound by admin.metrics_bind already; give it "
      "another port\n");
}

TEST(Validate, NeedsACertificateUnlessEverythingPassesThrough) {
  EXPECT_EQ(faults_of(small("    tls: {alpn: h2}\n")),
            "t.yaml:4:5: listeners[0].tls: needs \"certificates\" or \"certificate_dirs\"\n");
  EXPECT_EQ(faults_of(small("    tls: {certificates: [{private_key: a.key}]}\n")),
            "t.yaml:4:26: listeners[0].tls.certificates[0]: needs \"certificate\": a PEM file, leaf first\n");
  EXPECT_EQ(faults_of(R"(listeners:
  - {bind: ":1", tls: {alpn: h2}, routes: [{sni: a.example, passthrough: on, backend: app}]}
backends: {app: {servers: 127.0.0.1:2}}
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

TEST(Validate, RefusesABackendThatIsAskedForTlsInAnotherProtocolThanTheClients) {
  const std::string asked = "    tls: {starttls: imap}\n";
  EXPECT_EQ(faults_of(small_tls("    starttls: smtp\n", asked)),
            "t.yaml:3:14: listeners[0].backend: backend \"app\" is asked for TLS in imap, but the clients of "
            "this listener speak smtp\n");
  EXPECT_EQ(faults_of(small_tls("    starttls: imap\n", asked)), "");
  EXPECT_EQ(faults_of(small("", asked)), "");
}

TEST(Validate, RefusesAMysqlServerThatWouldNotTakeTheConnectionForASecureOne) {
  const std::string fault =
      "t.yaml:3:14: listeners[0].backend: with \"starttls: mysql\" backend \"app\" needs \"tls: {starttls: "
      "mysql}\", or unix sockets alone as servers: a server takes no other connection for a secure one\n";
  EXPECT_EQ(faults_of(small_tls("    starttls: mysql\n")), fault);
  EXPECT_EQ(faults_of(small_tls("    starttls: mysql\n", "    tls: {}\n")), fault);
  EXPECT_EQ(faults_of(small_tls("    starttls: mysql\n", "    tls: {starttls: mysql}\n")), "");
  EXPECT_EQ(faults_of(small("", "    tls: {starttls: mysql}\n")), "") << "clients without TLS";
  EXPECT_EQ(faults_of("listeners: [{bind: :1, starttls: mysql, tls: {certificates: [a.pem]}, backend: app}]\n"
                      "backends: {app: {servers: [\"unix:/a\", \"unix:/b\"]}}\n"),
            "");
}

TEST(Validate, RefusesRoutesBehindAGreetingThatIsTheServers) {
  EXPECT_EQ(
      faults_of(small_tls("    starttls: mysql\n    routes: [{sni: a.example, backend: app}]\n",
                          "    tls: {starttls: mysql}\n")),
      "t.yaml:7:5: listeners[0].routes: a listener with \"starttls: mysql\" has one backend and no routes: "
      "the server greets the client before the client asks for a name\n");
}

TEST(Validate, RefusesAnAddressOfTheClientsChoiceWhereItIsTheListenersOwn) {
  const std::string original = "backends: {app: {servers: original}}\n";
  EXPECT_EQ(
      faults_of("listeners: [{bind: :1, backend: app}]\n" + original),
      "t.yaml:1:33: listeners[0].backend: backend \"app\" goes to the address that the client asked for "
      "(\"original\"), which here is the listener's own; it needs \"transparent: on\" in the listener\n");
  EXPECT_EQ(faults_of("listeners: [{bind: :1, transparent: on, backend: app}]\n" + original), "");
  EXPECT_EQ(faults_of("listeners: [{bind: :1, transparent: on}]\n"), "") << "it has a backend by itself";
  EXPECT_EQ(faults_of("listeners: [{bind: \"unix:/a\", transparent: on, backend: app}]\n" + original),
            "t.yaml:1:20: listeners[0].bind[0]: no client asks for another address at a unix socket, so "
            "\"transparent\" must be off\n");
}

TEST(Validate, RefusesWhatAnAddressOfTheClientsChoiceCannotHave) {
  const std::string listener = "listeners: [{bind: :1, transparent: on, backend: app}]\n";
  EXPECT_EQ(faults_of(listener + "backends: {app: {servers: [original, \"127.0.0.1:2\"]}}\n"),
            "t.yaml:2:18: backends.app.servers: \"original\" is the address that the client asked for, so it "
            "must be the only server\n");
  EXPECT_EQ(faults_of(listener + "backends: {app: {servers: original, health_check: {}}}\n"),
            "t.yaml:2:37: backends.app.health_check: cannot be: \"original\" is another address for each "
            "client, and none of them can be checked\n");
  EXPECT_EQ(faults_of(listener + "backends: {app: {servers: original, tls: {}}}\n"),
            "t.yaml:2:37: backends.app.tls: needs \"server_name\": an address of the client's choice has no "
            "host name to verify; \"$sni\" is the client's\n");
}

TEST(Validate, RefusesASourceFromWhichNoServerCanBeReached) {
  EXPECT_EQ(faults_of("listeners: [{bind: :1, backend: app}]\n"
                      "backends: {app: {servers: \"[::1]:2\", source: 127.0.0.1}}\n"),
            "t.yaml:2:46: backends.app.source: cannot reach \"[::1]:2\": no connection goes from an IPv4 "
            "address to an IPv6 address\n");
  EXPECT_EQ(faults_of("listeners: [{bind: :1, backend: app}]\n"
                      "backends: {app: {servers: \"unix:/a\", source: client}}\n"),
            "t.yaml:2:46: backends.app.source: has no effect: a connection to a unix socket comes from no "
            "address\n");
  EXPECT_EQ(
      faults_of("listeners: [{bind: \"unix:/a\", backend: app}]\n"
                "backends: {app: {servers: 127.0.0.1:2, source: client}}\n"),
      "t.yaml:1:40: listeners[0].backend: backend \"app\" connects from the client's address (\"source: "
      "client\"), but clients of a unix socket have none\n");
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
  EXPECT_EQ(
      with_routes("{passthrough: on, backend: app}"),
      "t.yaml:6:28: listeners[0].routes[0].passthrough: needs \"sni\" too: the names that pass through, or "
      "\"*\" for every client\n");
  EXPECT_EQ(
      faults_of(small("    routes: [{sni: a.example, passthrough: on, backend: app}]\n")),
      "t.yaml:4:44: listeners[0].routes[0].passthrough: needs \"tls\" in the listener for the connections "
      "that do not pass through; if all shall, let the last route be {sni: \"*\", passthrough: on, backend: "
      "...} and leave out the listener's own \"backend\"\n");
}

std::string router(const std::string& routes, const std::string& more = "") {
  return "listeners:\n  - {bind: :1, routes: [" + routes + "]" + more +
         "}\nbackends:\n  app: {servers: 127.0.0.1:2}\n  tls: {servers: 127.0.0.1:3, tls: {}}\n";
}

TEST(Validate, LetsARouterByNameGoWithoutTlsAndCertificates) {
  const std::string routes =
      "{sni: a.example, passthrough: on, backend: app}, {sni: \"*\", passthrough: on, backend: app}";
  const Loaded loaded = load(router(routes));
  const std::string unused =
      "t.yaml:5:3: backends.tls: warning: this backend is not used: no listener and no route "
      "names it\n";
  EXPECT_EQ(fault_lines(loaded), unused);
  EXPECT_TRUE(loaded.config.listeners.at(0).tls.has_value());
  EXPECT_EQ(faults_of(router(routes, ", tls: on")),
            "t.yaml:2:123: listeners[0].tls: needs a map here, not text\n");
}

TEST(Validate, KnowsThatAStarIsEveryClient) {
  const std::string faults = faults_of(
      router("{sni: \"*\", passthrough: on, backend: app}, {sni: a.example, passthrough: on, backend: app}"));
  EXPECT_NE(faults.find("listeners[0].routes[1]: warning: is never reached: routes[0] has no condition\n"),
            std::string::npos)
      << faults;
  EXPECT_EQ(
      faults_of("admin: {names: [\"*\"]}\n" + small()),
      "t.yaml:1:17: admin.names[0]: \"*\" is not a name; write \"api.example.com\" or \"*.example.com\"\n");
}

TEST(Validate, RefusesTlsInsideOfPassthrough) {
  EXPECT_EQ(
      faults_of(router(
          "{sni: a.example, passthrough: on, backend: tls}, {sni: \"*\", passthrough: on, backend: app}")),
      "t.yaml:2:68: listeners[0].routes[0].backend: backend \"tls\" has \"tls\", but the client's own TLS "
      "passes through: remove \"tls\" from the backend, or \"passthrough\" from the route\n");
}

/// Listeners "a" on port 1 and "b" on port 2, or where `bind` says, with their backends' servers.
std::string chain(const std::string& a, const std::string& b, const std::string& bind = "\":1\"") {
  return "listeners:\n  - {name: a, bind: " + bind +
         ", backend: x}\n  - {name: b, bind: 127.0.0.1:2, backend: y}\n" + "backends:\n  x: {servers: [" + a +
         "]}\n  y: {servers: [" + b + "]}\n";
}

TEST(Validate, RefusesABackendThatIsItsOwnListener) {
  const auto fault = [](const std::string& server) {
    return "t.yaml:5:17: backends.x.servers[0]: \"" + server +
           "\" is where listener \"a\" listens: each connection would make others without end; give the "
           "address of "
           "the service\n";
  };
  for (const std::string server : {"127.0.0.1:1", "localhost:1", "0.0.0.0:1", "127.0.0.2:1"})
    EXPECT_EQ(faults_of(chain(server, "127.0.0.1:9")), fault(server));
  EXPECT_EQ(faults_of(chain("\"[::1]:1\"", "127.0.0.1:9")), fault("[::1]:1"));
  EXPECT_EQ(faults_of(chain("unix:/run/a", "127.0.0.1:9", "unix:/run/a")), fault("unix:/run/a"));
  EXPECT_EQ(faults_of(chain("10.0.0.7:1", "127.0.0.1:9", "10.0.0.7:1")), fault("10.0.0.7:1"));
  EXPECT_EQ(faults_of(chain("localhost:1", "127.0.0.1:9", "127.0.0.1:1")), fault("localhost:1"));
}

TEST(Validate, RefusesListenersThatLeadBackToEachOther) {
  EXPECT_EQ(
      faults_of(chain("127.0.0.1:2", "127.0.0.1:1")),
      "t.yaml:5:17: backends.x.servers[0]: \"127.0.0.1:2\" is where listener \"b\" listens, which leads back "
      "to listener \"a\": each connection would make others without end; give the address of the service\n"
      "t.yaml:6:17: backends.y.servers[0]: \"127.0.0.1:1\" is where listener \"a\" listens, which leads back "
      "to listener \"b\": each connection would make others without end; give the address of the service\n");
}

TEST(Validate, LetsOneListenerLeadToAnother) {
  EXPECT_EQ(faults_of(chain("127.0.0.1:2", "127.0.0.1:9")), "");
  EXPECT_EQ(faults_of(chain("127.0.0.1:9", "app.internal:1")), "");
  EXPECT_EQ(faults_of(chain("10.0.0.7:1", "127.0.0.1:9")), "");
  EXPECT_EQ(faults_of(chain("\"[::1]:1\"", "127.0.0.1:9", "0.0.0.0:1")), "");
  EXPECT_EQ(faults_of(chain("unix:/run/b", "127.0.0.1:9", "unix:/run/a")), "");
}

TEST(Validate, RefusesAHealthCheckWithTlsWhereConnectionsComeWithoutTls) {
  const auto faults_with = [](const std::string& backend, const std::string& listener) {
    return faults_of("listeners:\n  - {name: web, bind: :1, " + listener + "}\nbackends:\n  app: {" +
                     backend + "servers: 127.0.0.1:2, health_check: {type: tls}}\n");
  };
  const std::string passes = "routes: [{sni: a.example, passthrough: on, backend: app}]";
  const std::string tls = ", tls: {certificates: a.pem}";
  const std::string fault =
      "backends.app.health_check.type: the check speaks TLS, but connections of listener \"web\" come "
      "without "
      "TLS: write \"type: tcp\", or give the backend \"tls\"\n";
  EXPECT_EQ(faults_with("", "backend: app" + tls), "t.yaml:4:52: " + fault);
  EXPECT_EQ(faults_with("", passes + ", backend: app" + tls), "t.yaml:4:52: " + fault);
  EXPECT_EQ(faults_with("tls: {}, ", "backend: app" + tls), "");
  EXPECT_EQ(faults_with("", passes), "");
  EXPECT_EQ(faults_with("", "backend: app"), "") << "the clients may speak TLS to the server";
}

TEST(Validate, WarnsOfAProtocolThatIsNearlyAKnownOne) {
  EXPECT_EQ(faults_of(small_tls("      alpn: [h2, http1.1, h3, postgresql, myproto]\n")),
            "t.yaml:6:18: listeners[0].tls.alpn[1]: warning: \"http1.1\" is not a registered protocol; did "
            "you mean "
            "\"http/1.1\"?\n");
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
            "127.0.0.1 or a unix socket, or guard the port. Metrics and health can have an address of their "
            "own, admin.metrics_bind, and admin.token_file a secret for the rest\n");
  EXPECT_EQ(faults_of("admin: {bind: \":9464\", token_file: token}\n" + small()), "");
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

TEST(Validate, NeedsNamesAndWholeRulesInEachEntryByName) {
  const auto faults = [](const std::string& entries) {
    return faults_of(small_tls("      client_auth: {by_name: [" + entries + "]}\n"));
  };
  EXPECT_EQ(faults("{sni: a.test}, {sni: [b.test, \"*.b.test\"]}"), "");
  EXPECT_EQ(faults("{mode: none}"),
            "t.yaml:6:31: listeners[0].tls.client_auth.by_name[0]: needs \"sni\": the names for which these "
            "rules are\n");
  EXPECT_EQ(faults("{sni: a.test}, {sni: A.test}"),
            "t.yaml:6:52: listeners[0].tls.client_auth.by_name[1].sni[0]: \"A.test\" is in "
            "listeners[0].tls.client_auth.by_name[0] already, which counts; keep one\n");
  EXPECT_THAT(faults("{sni: a.test, mode: optional}"), HasSubstr("by_name[0]: needs \"ca\""));
}

TEST(Validate, RefusesRulesForANameThatAnEarlierEntryHas) {
  const auto faults = [](const std::string& entries) {
    return faults_of(small_tls("      client_auth: {by_name: [" + entries + "]}\n"));
  };
  EXPECT_EQ(
      faults("{sni: \"*.Test\"}, {sni: a.test}"),
      "t.yaml:6:54: listeners[0].tls.client_auth.by_name[1].sni[0]: \"a.test\" is under \"*.Test\" of "
      "listeners[0].tls.client_auth.by_name[0], which comes first and counts; put this entry before that "
      "one\n");
  EXPECT_THAT(faults("{sni: a.test.}, {sni: a.test}"), HasSubstr("by_name[0] already, which counts"));
  EXPECT_THAT(faults("{sni: \"*.test.\"}, {sni: \"*.test\"}"), HasSubstr("by_name[0] already"));
  EXPECT_EQ(faults("{sni: a.test}, {sni: \"*.test\"}"), "") << "the exception comes first";
  EXPECT_EQ(faults("{sni: [\"*.test\", a.test]}"), "") << "under the same rules";
  EXPECT_EQ(faults("{sni: \"*.test\"}, {sni: [a.b.test, test, \"*.a.test\"]}"), "") << "one label alone";
}

TEST(Validate, WarnsOfRulesForANameThatOtherNamesLeadAround) {
  const auto faults = [](const std::string& routes) {
    return faults_of(R"(listeners:
  - name: web
    bind: ":1"
    tls:
      certificates: a.pem
      client_auth: {by_name: [{sni: [a.test], mode: required, ca: ca.pem}]}
    routes: )" + routes +
                     R"(
    backend: app
backends: {app: {servers: 127.0.0.1:3}, admin: {servers: 127.0.0.1:2}}
)");
  };
  EXPECT_EQ(faults("[{sni: a.test, backend: admin}]"), "");
  EXPECT_THAT(
      faults("[{sni: b.test, backend: admin}]"),
      HasSubstr("t.yaml:6:38: listeners[0].tls.client_auth.by_name[0].sni[0]: warning: clients that ask "
                "for another name reach the same backend"));
  EXPECT_THAT(faults("[{backend: admin}]"), HasSubstr("reach the same backend"));
  EXPECT_THAT(faults("[{sni: [a.test, b.test], backend: admin}]"),
              HasSubstr("clients that ask for \"b.test\" reach the same backend without a certificate, and "
                        "there may ask for \"a.test\""));
  EXPECT_THAT(faults("[{sni: \"*.test\", backend: admin}]"), HasSubstr("clients that ask for \"*.test\""));
}

TEST(Validate, WarnsOfANameWithoutRulesThatLeadsAroundThoseOfTheOthers) {
  const auto faults = [](const std::string& routes) {
    return faults_of(small_tls(
        "      client_auth: {mode: required, ca: ca.pem, by_name: [{sni: open.test, mode: none}]}\n" +
        routes));
  };
  EXPECT_THAT(faults(""),
              HasSubstr("by_name[0].sni[0]: warning: clients that ask for \"open.test\" reach the "
                        "same backend without a certificate, and there may ask for another name"));
  EXPECT_THAT(faults("    routes: [{sni: open.test, backend: other}]\n"), Not(HasSubstr("same backend")));
}

TEST(Validate, WarnsOfRulesForANameThatPassesThrough) {
  const auto faults = [](const std::string& routes) {
    return faults_of(
        small_tls("      client_auth: {by_name: [{sni: a.test, mode: required, ca: ca.pem}]}\n"
                  "    routes: [" +
                  routes + "]\n"));
  };
  const std::string told = "\"a.test\": routes[0] passes it through, and only the backend can ask";
  EXPECT_THAT(faults("{sni: a.test, passthrough: on, backend: app}"), HasSubstr(told));
  EXPECT_THAT(faults("{sni: \"*.Test\", passthrough: on, backend: app}"), HasSubstr(told));
  EXPECT_THAT(faults("{sni: a.test, backend: app}, {sni: a.test, passthrough: on, backend: app}"),
              Not(HasSubstr("passes it through")));
  EXPECT_THAT(faults("{sni: b.test, passthrough: on, backend: app}"), Not(HasSubstr("passes it through")));
}

TEST(Validate, WarnsOfADryRunOfClientAuthentication) {
  EXPECT_THAT(
      faults_of(small_tls("      client_auth: {mode: required, ca: ca.pem}\n      dry_run: client_auth\n")),
      HasSubstr("dry_run[0]: warning: every client is let in"));
  EXPECT_THAT(faults_of(small_tls("      dry_run: [tls13_only, client_auth]\n")),
              HasSubstr("dry_run[1]: has no effect"));
}

TEST(Validate, WantsAnAnswerToWhatACheckSays) {
  EXPECT_EQ(
      faults_of("listeners: [{bind: :1, backend: app}]\nbackends:\n  app:\n    servers: 127.0.0.1:2\n"
                "    health_check: {send: PING}\n"),
      "t.yaml:5:26: backends.app.health_check.send: needs \"expect\" too: what the server answers tells "
      "whether it has understood, and nothing else\n");
}

TEST(Validate, SaysWhatIsWrongWithTheBytesOfACheck) {
  const auto faults = [](const std::string& bytes) {
    return faults_of(
        "listeners: [{bind: :1, backend: app}]\nbackends:\n  app:\n    servers: 127.0.0.1:2\n"
        "    health_check: {expect: \"" +
        bytes + "\"}\n");
  };
  const std::string at = "t.yaml:5:28: backends.app.health_check.expect: ";
  const std::string digits = " is not hexadecimal; write two digits for each byte, \"hex:0d0a\"\n";
  EXPECT_EQ(faults("hex:0"), at + "\"hex:0\"" + digits);
  EXPECT_EQ(faults("hex:0d 0a"), at + "\"hex:0d 0a\"" + digits);
  EXPECT_EQ(faults("hex:+1"), at + "\"hex:+1\"" + digits);
  EXPECT_EQ(faults(std::string(1025, '+')), at + "is longer than 1024 bytes\n");
  EXPECT_EQ(faults(std::string(1024, '+')), "");
}

TEST(Validate, WarnsOfAQueueInWhichNoConnectionEverWaits) {
  const auto faults = [](const std::string& server) {
    return faults_of("listeners: [{bind: :1, backend: app}]\nbackends:\n  app:\n    servers: [" + server +
                     "]\n    queue: {size: 5}\n");
  };
  EXPECT_EQ(faults("127.0.0.1:2"),
            "t.yaml:5:19: backends.app.queue.size: warning: no connection ever waits, because no server has "
            "\"max_connections\"\n");
  EXPECT_EQ(faults("{address: 127.0.0.1:2, max_connections: 1}"), "");
}

TEST(Validate, RefusesSpareConnectionsThatCouldNotBeMadeOrUsed) {
  const auto faults = [](const std::string& backend, const std::string& listener = "") {
    return faults_of("listeners: [{bind: :1, backend: app" + listener +
                     "}]\nbackends:\n  app:\n    preconnect: 2\n" + backend);
  };
  const std::string at = "t.yaml:4:17: backends.app.preconnect: ";
  const std::string servers = "    servers: 127.0.0.1:2\n";
  EXPECT_EQ(faults(servers), "");
  EXPECT_EQ(faults(servers + "    source: client\n"),
            at +
                "cannot be with \"source: client\": before there is a client, there is no address to connect "
                "from\n");
  EXPECT_EQ(faults("    servers: original\n", ", transparent: on"),
            at + "cannot be with \"original\": before there is a client, there is no server to connect to\n");
  EXPECT_EQ(faults(servers + "    tls: {starttls: postgres}\n"),
            at + "cannot be with \"tls.starttls\": such a server greets first, or ends a connection on which "
                 "nothing is said\n");
}

TEST(Validate, BoundsTheNumberOfSpareConnections) {
  EXPECT_EQ(faults_of(small("", "    preconnect: 1000\n")), "");
  for (const char* number : {"1001", "-1", "many"}) {
    EXPECT_THAT(faults_of(small("", "    preconnect: " + std::string(number) + "\n")),
                testing::StartsWith("t.yaml:7:17: backends.app.preconnect: "));
  }
}

TEST(Validate, RefusesSpareConnectionsToServersThatGreetFirst) {
  const auto faults = [](const std::string& protocol) {
    return faults_of(
        small("    starttls: " + protocol + "\n    tls: {certificates: [{certificate: tls.pem}]}\n",
              "    preconnect: 2\n"));
  };
  EXPECT_EQ(faults("postgres"), "");
  EXPECT_EQ(faults("ldap"), "");
  for (const std::string protocol : {"smtp", "imap", "pop3", "mysql"}) {
    EXPECT_THAT(
        faults(protocol),
        testing::HasSubstr("t.yaml:3:14: listeners[0].backend: backend \"app\" has \"preconnect\", but "
                           "with \"starttls: " +
                           protocol +
                           "\" servers greet first, which spoils a connection that no client uses yet\n"));
  }
}

TEST(Validate, TakesNoQueueWithoutATime) {
  EXPECT_EQ(
      faults_of(
          "listeners: [{bind: :1, backend: app}]\nbackends:\n  app:\n"
          "    servers: {address: 127.0.0.1:2, max_connections: 1}\n    queue: {size: 5, timeout: 0s}\n"),
      "t.yaml:5:31: backends.app.queue.timeout: \"0s\" is too short; at least 1ms\n");
}

TEST(Validate, TakesAServiceAsAServerAndWantsANameToVerify) {
  const auto faults = [](const std::string& address, const std::string& more) {
    return faults_of("listeners: [{bind: :1, backend: app}]\nbackends:\n  app:\n    servers: \"" + address +
                     "\"\n" + more);
  };
  EXPECT_EQ(faults("srv:_pg._tcp.example.com", ""), "");
  EXPECT_EQ(faults("srv:8080", "    tls: {ca: system}\n"), "") << "a host may be called srv";
  EXPECT_EQ(faults("srv:_pg._tcp.example.com:5432", ""),
            "t.yaml:4:14: backends.app.servers[0].address: \"srv:_pg._tcp.example.com:5432\" is not a "
            "service; write "
            "\"srv:_postgresql._tcp.example.com\", without a port\n");
  EXPECT_EQ(faults("srv:_pg._tcp.example.com", "    tls: {ca: system}\n"),
            "t.yaml:5:5: backends.app.tls: needs \"server_name\": the name to verify cannot come from the "
            "answer of a "
            "name server\n");
  EXPECT_EQ(faults("srv:_pg._tcp.example.com", "    tls: {ca: system, server_name: db.example.com}\n"), "");
}

}  // namespace
}  // namespace headgate::config
