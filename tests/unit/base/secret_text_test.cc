#include "base/secret_text.h"

#include <string>

#include <gtest/gtest.h>

namespace headgate {
namespace {

// Not a key: base64 of text.
constexpr const char* kBase64 =
    "MHcCAQEEIE5vdCBhIGtleSBhdCBhbGwsIGp1c3QgYnl0ZXMgoAoGCCqGSM49AwEHoUQDQgAEThisIsOnlyATest1";

std::string pem() {
  return std::string("-----BEGIN EC PRIVATE KEY-----\n") + kBase64 + "\n-----END EC PRIVATE KEY-----";
}

TEST(SecretText, KnowsAPemBlockInAnyForm) {
  EXPECT_TRUE(holds_secret(pem()));
  EXPECT_TRUE(holds_secret("key: -----BEGIN PRIVATE KEY----- " + std::string(kBase64)));
}

TEST(SecretText, KnowsATicketSecretAndDerInBase64) {
  EXPECT_TRUE(holds_secret("headgate-ticket-secret-1:0011"));
  EXPECT_TRUE(holds_secret(kBase64));
}

TEST(SecretText, LetsPathsAndNamesPass) {
  for (const char* text :
       {"tls.pem", "/etc/headgate/headgate-ticket-secret-prod", "secrets/web.key",
        "/etc/ssl/certs/ISRGRootX1CertificateAuthority2026", "spiffe://prod/ns/web/PaymentService2WorkerNode",
        "A9b0c1d2e3f4A9b0c1d2e3f4A9b0c1d2e3f4A9b0",
        "/run/A9b0c1d2e3f4A9b0c1d2e3f4A9b0c1d2e3f4A9b0c1d2e3f4A9b0c1d2e3f4A9b0/tls.pem",
        "web-a9b0c1d2e3f4a9b0c1d2e3f4a9b0c1d2e3f4a9b0c1d2e3f4a9b0c1d2e3f4a9b0",
        "a9b0c1d2e3f4a9b0c1d2e3f4a9b0c1d2e3f4a9b0c1d2e3f4a9b0c1d2e3f4a9b0.pem",
        "certs/a9b0c1d2e3f4a9b0c1d2e3f4a9b0c1d2e3f4a9b0c1d2e3f4a9b0c1d2e3f4a9b0"}) {
    EXPECT_FALSE(holds_secret(text)) << text;
    EXPECT_FALSE(resembles_key(text)) << text;
    EXPECT_EQ(without_secrets(text), text);
  }
}

TEST(SecretText, TakesRandomBytesInBase64ForAKey) {
  EXPECT_TRUE(resembles_key("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="));
  EXPECT_FALSE(resembles_key("./q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="));
}

TEST(SecretText, TakesHexadecimalOfTheLengthOfAKeyForOne) {
  const std::string digits(64, 'a');
  const std::string lines = std::string(60, '7') + "\n00ff";  // of `xxd -p`
  for (const std::string& key : {digits, std::string(96, 'F'), "  " + digits + '\n', lines}) {
    EXPECT_TRUE(resembles_key(key)) << key;
    EXPECT_FALSE(holds_secret(key)) << key << " may be a fingerprint";
  }
  EXPECT_EQ(without_secrets('"' + digits + "\" is none: No such"), "\"(a key, not shown)\" is none: No such");
  EXPECT_EQ(without_secrets("no " + digits + ". Why"), "no (a key, not shown). Why");
  EXPECT_EQ(without_secrets("--key=" + digits), "--(a key, not shown)");
  EXPECT_FALSE(resembles_key("./" + digits));
}

// The lines of a key without its BEGIN, which YAML joins with blanks.
TEST(SecretText, KnowsTheLinesOfAKeyWithBlanksOrLineBreaksBetweenThem) {
  for (const char* between : {" ", "\n", "\r\n", "  "}) {
    const std::string lines = std::string(kBase64) + between + "4LYGzKhnOomgBwYFK4EEACKh" + between + "Zz8=";
    EXPECT_TRUE(holds_secret(lines)) << between;
    EXPECT_TRUE(resembles_key(lines)) << between;
    EXPECT_EQ(without_secrets("bad: " + lines + " is no name: No such"),
              "bad: (a key, not shown) is no name: No such")
        << between;
  }
  EXPECT_FALSE(resembles_key("my certificates/Site Key 2026/SomeLongName"));
}

TEST(SecretText, IsNotInAMessage) {
  EXPECT_EQ(without_secrets("bad: " + pem() + "; mend it"), "bad: (a key, not shown); mend it");
  EXPECT_EQ(without_secrets("bad: -----BEGIN PRIVATE KEY-----xyz"), "bad: (a key, not shown)");
  EXPECT_EQ(without_secrets("no " + std::string(kBase64) + " here"), "no (a key, not shown) here");
  EXPECT_EQ(without_secrets("headgate-ticket-secret-1:00ff end"), "(a key, not shown) end");
  EXPECT_EQ(without_secrets("--secret=headgate-ticket-secret-1:00ff"), "--secret=(a key, not shown)");
  EXPECT_EQ(without_secrets("web.a/headgate-ticket-secret-1:00ff"), "web.a/(a key, not shown)");
  EXPECT_EQ(without_secrets(""), "");
}

}  // namespace
}  // namespace headgate
