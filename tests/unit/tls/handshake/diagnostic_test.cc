#include "tls/handshake/diagnostic.h"

#include <gtest/gtest.h>

#include "tls/openssl/algorithms.h"

namespace headgate {
namespace {

config::Places places() {
  config::Places places("headgate.yaml");
  places.place("listeners[0].tls.certificates[0]", {7, 11});
  places.place("listeners[0].tls.certificates[0].certificate", {7, 24});
  return places;
}

TEST(Diagnostic, IsToldWithThePlaceOfTheKeyThatNamesTheFile) {
  const Diagnostic expired{Severity::kError, "web.crt", "it expired",
                           "listeners[0].tls.certificates[0].certificate"};
  EXPECT_EQ(fault_of(expired, places()).text(),
            "headgate.yaml:7:24: listeners[0].tls.certificates[0].certificate: web.crt: it expired");
}

TEST(Diagnostic, WithoutItsKeyInTheFileStandsAtTheMapThatLacksIt) {
  const Diagnostic soon{Severity::kWarning, "web.key", "soon",
                        "listeners[0].tls.certificates[0].private_key"};
  EXPECT_EQ(fault_of(soon, places()).text(),
            "headgate.yaml:7:11: listeners[0].tls.certificates[0].private_key: warning: web.key: soon");
}

TEST(Diagnostic, OfAConfigurationMadeOfOptionsNamesTheFileAlone) {
  const Diagnostic gone{Severity::kLeftOut, "web.crt", "gone",
                        "listeners[0].tls.certificates[0].certificate"};
  EXPECT_EQ(fault_of(gone, config::Places()).text(), "web.crt: warning: gone");
}

TEST(Diagnostic, GetsTheKeysAroundItInFront) {
  Diagnostics all;
  add_below(all, {{Severity::kError, "", "one", "ca"}, {Severity::kError, "", "two"}}, "client_auth");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].key, "client_auth.ca");
  EXPECT_EQ(all[1].key, "client_auth");
}

TEST(Algorithms, ThatOpensslDoesNotTakeAreFaultsOfTheirKeys) {
  config::Tls tls;
  tls.groups = {"Q-999"};
  tls.cipher_suites = {"TLS_NONSENSE"};
  tls.ciphers = "NONSENSE";
  Diagnostics found;
  EXPECT_EQ(check_algorithms(tls, found), tls.groups);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].key, "groups");
  EXPECT_EQ(found[1].key, "cipher_suites");
  EXPECT_EQ(found[2].key, "ciphers");
}

TEST(Algorithms, OfTheDefaultsAreNoFault) {
  Diagnostics found;
  static_cast<void>(check_algorithms(config::Tls{}, found));
  EXPECT_TRUE(found.empty());
}

}  // namespace
}  // namespace headgate
