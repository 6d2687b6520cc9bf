#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/config/loading.h"

namespace headgate::config {
namespace {

// The listener is in lines 1 to 3. So the keys that a test adds to it begin on line 4, and those of its tls
// on line 6.

TEST(Faults, NameTheNearestKeyOfAnUnknownOne) {
  EXPECT_EQ(faults_of(small("    timeuts: {}\n")),
            "t.yaml:4:5: listeners[0].timeuts: unknown key; did you mean \"timeouts\"?\n");
}

TEST(Faults, SayWhereAMisplacedKeyBelongs) {
  EXPECT_EQ(
      faults_of(small("    min_version: \"1.2\"\n")),
      "t.yaml:4:5: listeners[0].min_version: unknown key here; it exists as listeners[].tls.min_version\n");
}

TEST(Faults, ListTheKnownKeysWhenAnUnknownOneIsLikeNone) {
  EXPECT_EQ(faults_of("log: {colour: blue}\n" + small()),
            "t.yaml:1:7: log.colour: unknown key; known here are level, format, access and ja4\n");
}

TEST(Faults, ShowAnUnknownKeyThatIsNoWordInQuotes) {
  EXPECT_EQ(faults_of("\"a\\nb\": 1\n" + small()).substr(0, 27), "t.yaml:1:1: \"a?b\": unknown ");
}

TEST(Faults, RefuseAKeyGivenTwice) {
  EXPECT_EQ(faults_of(small("    bind: :8444\n")),
            "t.yaml:4:5: listeners[0].bind: is given twice, first on line 2; keep one\n");
}

TEST(Faults, RefuseAKeyWithoutAValue) {
  EXPECT_EQ(faults_of(small("    tls:\n")),
            "t.yaml:4:5: listeners[0].tls: has no value; give it one or leave the key out\n");
}

TEST(Faults, RefuseAValueOfTheWrongKind) {
  EXPECT_EQ(faults_of(small("    tls: on\n")), "t.yaml:4:10: listeners[0].tls: needs a map here, not text\n");
  EXPECT_EQ(faults_of(small("    backlog: [1]\n")),
            "t.yaml:4:14: listeners[0].backlog: needs text here, not a list\n");
  EXPECT_EQ(faults_of(small("    allow: {a: b}\n")),
            "t.yaml:4:12: listeners[0].allow: needs a list here, not a map\n");
  EXPECT_EQ(faults_of(small("    allow: [[]]\n")),
            "t.yaml:4:13: listeners[0].allow[0]: needs text here, not a list\n");
  EXPECT_EQ(faults_of(small("    routes: [text]\n")),
            "t.yaml:4:14: listeners[0].routes[0]: needs a map here, not text\n");
}

TEST(Faults, RefuseADurationWithoutItsUnitOrOutOfRange) {
  const auto idle = [](const std::string& text) {
    return faults_of(small("    timeouts: {idle: " + text + "}\n"));
  };
  const std::string place = "t.yaml:4:22: listeners[0].timeouts.idle: ";
  EXPECT_EQ(idle("300"), place + "\"300\" has no unit; write 300s for seconds (ms, s, m and h are known)\n");
  EXPECT_EQ(idle("0"), place + "\"0\" has no unit; write 0s for seconds (ms, s, m and h are known)\n");
  EXPECT_EQ(idle("0s"), place + "\"0s\" is too short; at least 1ms\n");
  EXPECT_EQ(idle("87601h"), place + "\"87601h\" is too long; at most 87600h\n");
  EXPECT_EQ(idle("99999999999999999999h"), place + "\"99999999999999999999h\" is too long; at most 87600h\n");
  EXPECT_EQ(idle("-5s"), place + "\"-5s\" is not a duration; write one like 250ms, 10s, 5m or 12h\n");
  EXPECT_EQ(idle("1.5s"), place + "\"1.5s\" is not a duration; write one like 250ms, 10s, 5m or 12h\n");
  EXPECT_EQ(idle("soon"), place + "\"soon\" is not a duration; write one like 250ms, 10s, 5m or 12h\n");
  EXPECT_EQ(
      faults_of(small_tls("      resumption: {lifetime: 1500ms}\n")),
      "t.yaml:6:30: listeners[0].tls.resumption.lifetime: \"1500ms\" is not a whole number of seconds\n");
}

TEST(Faults, RefuseANumberThatIsNoneOrOutOfRange) {
  EXPECT_EQ(faults_of(small("    backlog: many\n")),
            "t.yaml:4:14: listeners[0].backlog: \"many\" is not a whole number; write one from 1 to 65535\n");
  EXPECT_EQ(faults_of(small("    backlog: 0\n")),
            "t.yaml:4:14: listeners[0].backlog: \"0\" is out of range; write one from 1 to 65535\n");
  EXPECT_EQ(
      faults_of(small("    limits: {handshake_rate: 4294967296}\n")),
      "t.yaml:4:30: listeners[0].limits.handshake_rate: \"4294967296\" is out of range; write one from 0 to "
      "4294967295\n");
}

TEST(Faults, RefuseAPenaltyThatCannotBe) {
  const auto penalty = [](const std::string& keys) {
    return faults_of(small("    limits: {penalty: {" + keys + "}}\n"));
  };
  const std::string place = "t.yaml:4:32: listeners[0].limits.penalty.";
  EXPECT_EQ(penalty("within: 0s"), place + "within: \"0s\" is too short; at least 1ms\n");
  EXPECT_EQ(penalty("for: 60"),
            "t.yaml:4:29: listeners[0].limits.penalty.for: \"60\" has no unit; write 60s for seconds (ms, s, "
            "m and h are known)\n");
  EXPECT_EQ(penalty("failures: -1"),
            "t.yaml:4:34: listeners[0].limits.penalty.failures: \"-1\" is out of range; write one from 0 to "
            "1000000\n");
}

TEST(Faults, RefuseASizeWithoutAUnitOrOutOfRange) {
  const auto memory = [](const std::string& size) {
    return faults_of("limits: {max_memory: " + size + "}\n" + small());
  };
  const std::string place = "t.yaml:1:22: limits.max_memory: ";
  EXPECT_EQ(memory("0"), "");
  EXPECT_EQ(memory("512"),
            place + "\"512\" has no unit; write 512MiB for mebibytes (KiB, MiB and GiB are known)\n");
  for (const char* text : {"512MB", "1.5GiB", "-1MiB", "GiB", "much", "1GiBGiB", "1 GiB"})
    EXPECT_EQ(memory(text), place + '"' + text + "\" is not a size; write one like 16KiB, 512MiB or 2GiB\n");
  for (const char* text : {"1048577GiB", "1099511627777KiB", "99999999999999999999KiB"})
    EXPECT_EQ(memory(text), place + '"' + text + "\" is too large; at most 1048576GiB\n");
  EXPECT_EQ(memory("1048576GiB"), "");
}

TEST(Faults, NameTheWordsThatAreKnown) {
  EXPECT_EQ(
      faults_of("log: {level: debgu}\n" + small()),
      "t.yaml:1:14: log.level: \"debgu\" is not known here; write error, warn, info or debug; did you mean "
      "\"debug\"?\n");
  EXPECT_EQ(faults_of("sandbox: maybe\n" + small()),
            "t.yaml:1:10: sandbox: \"maybe\" is not known here; write on or off\n");
}

TEST(Faults, RefuseWhatThisVersionCannotDo) {
  EXPECT_EQ(faults_of("key_isolation: process\n" + small()),
            "t.yaml:1:16: key_isolation: \"process\" is not available in this version\n");
}

TEST(Faults, RefuseAClientCertificateInAHeaderWithoutRoomForIt) {
  for (const std::string proxy : {"none", "v1"}) {
    EXPECT_EQ(faults_of(small("", "    send_proxy: " + proxy + "\n    send_client_certificate: on\n")),
              "t.yaml:8:30: backends.app.send_client_certificate: needs \"send_proxy: v2\": only that header "
              "has room "
              "for a certificate\n");
  }
  EXPECT_EQ(faults_of(small("", "    send_proxy: v2\n    send_client_certificate: on\n")), "");
}

TEST(Faults, KnowNoKernelTls) {
  EXPECT_THAT(faults_of(small_tls("      ktls: off\n")),
              testing::StartsWith("t.yaml:6:7: listeners[0].tls.ktls: unknown key; "));
}

TEST(Faults, RefuseABackendWhoseServersAllHaveNoWeight) {
  EXPECT_EQ(
      faults_of(
          "listeners:\n  - bind: :8443\n    backend: app\nbackends:\n  app:\n    servers:\n      - {address: "
          "\"127.0.0.1:1\", weight: 0}\n"),
      "t.yaml:6:5: backends.app.servers: no server has a weight above 0, so that no connection could go "
      "anywhere\n");
  EXPECT_EQ(
      faults_of(
          "listeners:\n  - bind: :8443\n    backend: app\nbackends:\n  app:\n    servers:\n      - {address: "
          "\"127.0.0.1:1\", weight: 0}\n      - \"127.0.0.1:2\"\n"),
      "");
}

TEST(Faults, RefuseSharesThatAreNone) {
  for (const std::string share : {"0%", "100%", "200%", "5", "-5%", "5.5%", "%", "5 %"}) {
    EXPECT_EQ(
        faults_of(small("    tls: {certificates: [{certificate: a.pem, canary: \"" + share + "\"}]}\n")),
        "t.yaml:4:55: listeners[0].tls.certificates[0].canary: \"" + share +
            "\" is not a share; write \"1%\" to \"99%\"\n");
  }
}

TEST(Faults, RefuseNamesThatCannotBe) {
  EXPECT_EQ(faults_of(small("    name: a b\n")),
            "t.yaml:4:11: listeners[0].name: \"a b\" cannot be a name; use letters, digits and any of . _ - "
            ": / @ [ ]\n");
  EXPECT_EQ(faults_of(small_tls("    routes: [{sni: \"a*.example\", backend: app}]\n")),
            "t.yaml:6:20: listeners[0].routes[0].sni[0]: \"a*.example\" is not a name; write "
            "\"api.example.com\" or "
            "\"*.example.com\"\n");
  EXPECT_EQ(faults_of(small_tls("    routes: [{sni: münchen.example, backend: app}]\n")),
            "t.yaml:6:20: listeners[0].routes[0].sni[0]: \"münchen.example\" has characters beyond ASCII; "
            "write the name in its \"xn--\" form, as clients send it\n");
  EXPECT_EQ(faults_of(small_tls("      alpn: [$alpn]\n")),
            "t.yaml:6:14: listeners[0].tls.alpn[0]: \"$alpn\" means the client's protocol, in a backend's "
            "tls only; write "
            "\"h2\"\n");
  EXPECT_EQ(faults_of(small_tls("      alpn: [\"" + std::string(256, 'x') + "\"]\n")),
            "t.yaml:6:14: listeners[0].tls.alpn[0]: \"" + std::string(80, 'x') +
                "...\" is not an ALPN name; they have 1 to 255 bytes\n");
  EXPECT_EQ(faults_of(small("", "    tls: {server_name: $host}\n")),
            "t.yaml:7:24: backends.app.tls.server_name: \"$host\" has no meaning; \"$sni\" passes the "
            "client's name on\n");
}

TEST(Faults, RefuseGroupsAndSuitesThatCannotBe) {
  EXPECT_EQ(faults_of(small_tls("      groups: X25519:X25591\n")),
            "t.yaml:6:22: listeners[0].tls.groups[1]: warning: \"X25591\" is not a group that a TLS library "
            "has by itself; did you mean \"X25519\"?\n");
  EXPECT_EQ(
      faults_of(small_tls("      groups: [P 256]\n")),
      "t.yaml:6:16: listeners[0].tls.groups[0]: \"P 256\" is not a group; write a name like \"X25519\" or "
      "\"P-256\"\n");
  EXPECT_EQ(faults_of(small_tls("      cipher_suites: ECDHE-RSA-AES128-GCM-SHA256\n")),
            "t.yaml:6:22: listeners[0].tls.cipher_suites[0]: \"ECDHE-RSA-AES128-GCM-SHA256\" is not a TLS "
            "1.3 cipher "
            "suite; those of TLS 1.2 belong in \"ciphers\"\n");
  EXPECT_EQ(faults_of(small_tls("      ciphers: TLS_AES_128_GCM_SHA256\n")),
            "t.yaml:6:16: listeners[0].tls.ciphers: \"TLS_AES_128_GCM_SHA256\" is a TLS 1.3 suite; those "
            "belong in \"cipher_suites\"\n");
}

TEST(Faults, RefuseACaOfNoTrustDomain) {
  const auto ca = [](const std::string& text) {
    return faults_of(small_tls("      client_auth: {mode: required, ca: " + text + "}\n"));
  };
  const std::string place = "listeners[0].tls.client_auth.ca";
  EXPECT_EQ(ca("{Prod: a.pem}"),
            "t.yaml:6:42: " + place +
                ".Prod: \"Prod\" is not a trust domain; write \"prod.example\", in lower "
                "case and without \"spiffe://\"\n");
  EXPECT_EQ(ca("{prod: [a.pem]}"), "t.yaml:6:48: " + place + ".prod: needs text here, not a list\n");
  EXPECT_EQ(ca("[a.pem]"), "t.yaml:6:41: " + place + ": needs text here, not a list\n");
}

TEST(Faults, WarnOfSpiffePatternsThatMatchNobody) {
  const auto allow = [](const std::string& pattern) {
    const std::string all = faults_of(small_tls(
        "      client_auth: {mode: required, ca: {prod: a.pem}, allow: {spiffe: \"" + pattern + "\"}}\n"));
    return all.substr(std::min(all.size(), all.find("warning")));
  };
  EXPECT_EQ(allow("spiffe://prod"),
            "warning: \"spiffe://prod\" matches no workload, since the SPIFFE ID of a workload "
            "has a path\n");
  EXPECT_EQ(allow("spiffe://Prod/a"),
            "warning: \"spiffe://Prod/a\" matches no SPIFFE ID: a trust domain is in lower "
            "case and has no port\n");
  EXPECT_EQ(allow("spiffe://test/a"),
            "warning: \"spiffe://test/a\" matches no client: \"ca\" has no file for this "
            "trust domain\n");
  EXPECT_EQ(allow("spiffe://prod/*"), "");
  EXPECT_EQ(allow("spiffe://*/a"), "");
}

TEST(Faults, RefusePatternsOfClientsThatCannotMatch) {
  const auto allow = [](const std::string& text) {
    return faults_of(small_tls("      client_auth: {mode: required, ca: ca.pem, allow: {" + text + "}}\n"));
  };
  const std::string place = "listeners[0].tls.client_auth.allow.";
  EXPECT_EQ(allow("spiffe: prod/*"), "t.yaml:6:65: " + place +
                                         "spiffe[0]: \"prod/*\" is not a SPIFFE ID; write "
                                         "\"spiffe://trust-domain/path\", * allowed\n");
  EXPECT_EQ(allow("dns: \"\""),
            "t.yaml:6:62: " + place + "dns[0]: an empty pattern matches no client; leave it out\n");
  EXPECT_EQ(allow("common_name: \"\""),
            "t.yaml:6:70: " + place + "common_name[0]: an empty name matches no client; leave it out\n");
  EXPECT_EQ(allow("fingerprint: abc"),
            "t.yaml:6:70: " + place +
                "fingerprint[0]: \"abc\" is not a SHA-256 fingerprint; write its 64 "
                "hexadecimal digits, with or without colons\n");
}

// A key that is written in the place of a word, in each form that a lost line break gives it.
std::vector<std::string> keys_in_yaml() {
  const std::string body = "MHcCAQEEIE5vdCBhIGtleSBhdCBhbGwsIGp1c3QgYnl0ZXMgoAoGCCqGSM49AwEH";
  const std::string begin = "-----BEGIN EC PRIVATE KEY-----";
  const std::string end = "-----END EC PRIVATE KEY-----";
  return {'"' + begin + "\\n" + body + "\\n" + end + '"', '"' + begin + ' ' + body + ' ' + end + '"',
          '"' + body + '"'};
}

TEST(Faults, ComeFromAnEmptyListThatWouldAdmitAll) {
  const auto client_auth = [](const std::string& allow) {
    return small_tls("      client_auth: {mode: required, ca: ca.pem, allow: " + allow + "}\n");
  };
  const auto routes = [](const std::string& condition) {
    return small_tls("      client_auth: {mode: required, ca: ca.pem}\n    routes: [{" + condition +
                     ": [], backend: app}]\n");
  };
  const std::string what = ": is empty, and would stand for all; leave it out where all is meant\n";
  EXPECT_EQ(faults_of(small("    allow: []\n")), "t.yaml:4:5: listeners[0].allow" + what);
  for (const char* allow : {"{}", "{spiffe: []}", "{dns: [], fingerprint: []}"}) {
    EXPECT_EQ(faults_of(client_auth(allow)), "t.yaml:6:49: listeners[0].tls.client_auth.allow" + what)
        << allow;
  }
  for (const std::string condition : {"sni", "alpn", "spiffe"}) {
    EXPECT_NE(faults_of(routes(condition)).find("listeners[0].routes[0]." + condition + what),
              std::string::npos)
        << faults_of(routes(condition));
  }
  EXPECT_EQ(faults_of(client_auth("{spiffe: [], dns: [a.test]}")), "");
  EXPECT_EQ(faults_of(small("    deny: []\n    probes: []\n")), "");
}

TEST(Faults, CarryNoKeyThatStandsWhereAnotherValueBelongs) {
  for (const std::string& key : keys_in_yaml()) {
    for (const std::string& text :
         {small("    tls: {certificates: [{certificate: " + key + "}]}\n"),
          small("    tls: {certificates: [" + key + "]}\n"),
          small("    tls: {certificates: [a.pem], keylog_file: " + key + "}\n"),
          small("    " + key + ": on\n"), small("    name: " + key + "\n"),
          small("    backlog: " + key + "\n"), small("    allow: " + key + "\n"),
          small("    tls: {certificates: [a.pem], groups: " + key + ", client_auth: {allow: {dns: " + key +
                "}}}\n"),
          small("    bind: " + key + "\n    bind: " + key + "\n"),
          small("", "  " + key + ": {servers: " + key + "}\n"), small("    backend: " + key + "\n"),
          "user: " + key + "\n" + small(), "log: {level: " + key + "}\n" + small(),
          "? [" + key + "]\n: 1\n" + small(), key + ": 1\n" + key + ": 2\n" + small()}) {
      const std::string faults = faults_of(text);
      EXPECT_FALSE(faults.empty()) << text;
      EXPECT_EQ(faults.find("MHcCAQEE"), std::string::npos) << faults;
    }
  }
}

TEST(Faults, SayThatAKeyBelongsInAFile) {
  EXPECT_EQ(faults_of(small("    tls: {certificates: [{certificate: \"-----BEGIN CERTIFICATE-----\"}]}\n")),
            "t.yaml:4:40: listeners[0].tls.certificates[0].certificate: this is a key or a certificate "
            "itself (it is "
            "not shown); keep it in a file, and give the file's path where a path belongs\n");
}

TEST(Faults, RefuseAPathWithALineBreak) {
  EXPECT_EQ(faults_of(small("    tls: {certificates: [\"a\\nb\"]}\n")),
            "t.yaml:4:26: listeners[0].tls.certificates[0].certificate: a path cannot have line breaks or "
            "other control "
            "characters in it\n");
}

TEST(Faults, DoNotParseAKeyFileAsAConfiguration) {
  EXPECT_EQ(faults_of("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nabc: d\n"),
            "t.yaml:1:1: yaml: this is a PEM file, not a configuration\n");
}

}  // namespace
}  // namespace headgate::config
