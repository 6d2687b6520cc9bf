#include <string>

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
            "t.yaml:1:7: log.colour: unknown key; known here are level, format and access\n");
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
  EXPECT_EQ(faults_of(small("", "    tls: {starttls: smtp}\n")),
            "t.yaml:7:21: backends.app.tls.starttls: \"smtp\" is not available in this version\n");
}

// Every value is refused: a key that does nothing is a false promise, whatever its value is.
TEST(Faults, RefuseKeysThatThisVersionDoesNotHave) {
  for (const std::string value : {"auto", "on", "off", "{a: b}"}) {
    EXPECT_EQ(faults_of(small_tls("      ktls: " + value + "\n")),
              "t.yaml:6:7: listeners[0].tls.ktls: kernel TLS is not available in this version; leave the key "
              "out\n");
    EXPECT_EQ(faults_of(small("", "    send_client_certificate: " + value + "\n")),
              "t.yaml:7:5: backends.app.send_client_certificate: the PROXY header cannot carry the client's "
              "certificate in this version; leave the key out\n");
  }
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
            "t.yaml:6:22: listeners[0].tls.groups[1]: warning: \"X25591\" is not a group that OpenSSL has by "
            "itself; "
            "did you "
            "mean \"X25519\"?\n");
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

}  // namespace
}  // namespace headgate::config
