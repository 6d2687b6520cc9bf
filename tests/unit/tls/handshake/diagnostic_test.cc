#include "tls/handshake/diagnostic.h"

#include <gtest/gtest.h>

#include "tls/library/algorithms.h"

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
  check_algorithms(tls, found);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].key, "groups");
  EXPECT_EQ(found[1].key, "cipher_suites");
  EXPECT_EQ(found[2].key, "ciphers");
}

TEST(Algorithms, ThatAreMissingFromTheDefaultsAreAWarningWhereTheyAreWritten) {
  const Diagnostic lacking{Severity::kNote, "", "lacks the group", "listeners[0].tls.groups[0]"};
  config::Places places("t.yaml");
  places.place("listeners[0].tls", {5, 3});
  const config::Fault note = fault_of(lacking, places);
  EXPECT_EQ(note.text(), "t.yaml:5:3: listeners[0].tls.groups[0]: note: lacks the group");
  EXPECT_TRUE(note.warning && note.note);
  places.place("listeners[0].tls.groups[0]", {6, 9});
  const config::Fault warning = fault_of(lacking, places);
  EXPECT_EQ(warning.text(), "t.yaml:6:9: listeners[0].tls.groups[0]: warning: lacks the group");
  EXPECT_TRUE(warning.warning && !warning.note);
}

TEST(Algorithms, NamesEachGroupThatThisOpensslLacks) {
  config::Tls tls;
  tls.groups = {"Q-999", "X25519", "Q-1000"};
  Diagnostics found;
  check_algorithms(tls, found);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].key, "groups[0]");
  EXPECT_EQ(found[1].key, "groups[2]");
  EXPECT_FALSE(has_errors(found));
}

TEST(Algorithms, OfTheDefaultsAreNoFault) {
  Diagnostics found;
  check_algorithms(config::Tls{}, found);
  for (const Diagnostic& one : found) EXPECT_EQ(one.severity, Severity::kNote) << one.what;
}

}  // namespace
}  // namespace headgate
