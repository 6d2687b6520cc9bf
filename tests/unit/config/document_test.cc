#include "config/document.h"

#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "config/show.h"
#include "unit/config/loading.h"

namespace headgate::config {
namespace {

TEST(Document, SaysWhereItIsNotYaml) {
  const Loaded loaded = load("listeners:\n  - bind: [\n");
  ASSERT_EQ(loaded.faults.size(), 1u);
  EXPECT_EQ(loaded.faults[0].key, "yaml");
  EXPECT_EQ(loaded.faults[0].what.substr(0, 17), "this is not YAML:");
}

TEST(Document, NamesATabThatIndents) {
  EXPECT_EQ(faults_of("log:\n\tlevel: info\n"),
            "t.yaml:2:7: yaml: a tab indents this line or the one above; YAML indents with spaces\n");
}

std::string with_line(const std::string& line) {
  return faults_of("listeners:\n  - name: web\n    " + line + "\n    backend: app\n");
}

TEST(Document, AsksForQuotesAroundAnAddressInBrackets) {
  const auto hint = [](const std::string& column, const std::string& word) {
    return "t.yaml:3:" + column + ": yaml: an unquoted [ begins a list in YAML; write \"" + word +
           "\", with the quotes\n";
  };
  EXPECT_EQ(with_line("bind: [::]:8443"), hint("15", "[::]:8443"));
  EXPECT_EQ(with_line("bind: [2001:db8::1]:8443  # all"), hint("24", "[2001:db8::1]:8443"));
  EXPECT_EQ(with_line("bind: {address: [::]:8443}"), hint("25", "[::]:8443"));
  EXPECT_EQ(with_line("bind:\n      - [::]:8443"),
            "t.yaml:4:13: yaml: an unquoted [ begins a list in YAML; write \"[::]:8443\", with the quotes\n");
  EXPECT_EQ(
      with_line("bind: [\"127.0.0.1:1\", [::]:8443]"),
      "t.yaml:3:27: listeners[0].bind[1]: a key is a word, not a list; put quotes around an IPv6 address, as "
      "in \"[::1]:8443\"\n"
      "t.yaml:4:14: listeners[0].backend: there is no backend \"app\"\n");
}

TEST(Document, AsksForQuotesAroundAStar) {
  const auto hint = [](const std::string& column, const std::string& word) {
    return "t.yaml:3:" + column + ": yaml: an unquoted * is a reference in YAML; write \"" + word +
           "\", with the quotes\n";
  };
  EXPECT_EQ(with_line("routes: [{sni: *.example.com, backend: app}]"), hint("20", "*.example.com"));
  EXPECT_EQ(with_line("routes: [{sni: [*.example.com, b], backend: app}]"), hint("21", "*.example.com"));
  EXPECT_EQ(with_line("routes: [{sni: *, backend: app}]"), hint("21", "*"));
  EXPECT_EQ(with_line("routes: [{sni: [*], backend: app}]"), hint("22", "*"));
  EXPECT_EQ(with_line("name: *nowhere\r"), hint("11", "*nowhere"));
}

TEST(Document, AsksForQuotesAroundOtherMarksOfYaml) {
  EXPECT_EQ(
      with_line("name: @web"),
      "t.yaml:3:11: yaml: YAML keeps @, ` and % at the begin of a word for itself; write \"@web\", with the "
      "quotes\n");
  EXPECT_EQ(
      with_line("name: a: b"),
      "t.yaml:3:12: yaml: a value with \": \" in it needs quotes, because YAML takes the text before it for "
      "a key\n");
}

TEST(Document, ShowsNoKeyInAHint) {
  EXPECT_EQ(with_line("name: *MHcCAQEEIE5vdCBhIGtleSBhdCBhbGwsIGp1c3QgYnl0ZXMgoAoGCCqGSM49AwEH").find("MHcC"),
            std::string::npos);
}

TEST(Document, RefusesWhatIsNoMap) {
  for (const char* text : {"", "- a\n", "text\n", "# nothing\n"}) {
    EXPECT_EQ(faults_of(text),
              "t.yaml:1:1: the configuration must be a map with at least the keys \"listeners\" and "
              "\"backends\"\n");
  }
}

TEST(Document, RefusesASecondOne) {
  EXPECT_EQ(
      faults_of(small() + "---\nlog: {}\n"),
      "t.yaml:8:1: yaml: a second document begins here; a configuration is one document, without \"---\"\n");
  EXPECT_EQ(faults_of("---\n" + small() + "...\n"), "");
}

TEST(Document, RefusesTagsThatMeanNothing) {
  EXPECT_EQ(faults_of("user: !include other\n" + small()),
            "t.yaml:1:7: yaml: the tag \"!include\" means nothing here; leave it out\n");
  EXPECT_EQ(faults_of("user: !!str 7\n" + small()), "");
}

TEST(Document, WritesAliasesOut) {
  const Loaded loaded = load(R"(listeners:
  - {bind: ":1", timeouts: &patient {idle: 1h}, backend: app}
  - {bind: ":2", timeouts: *patient, backend: app}
backends: {app: {servers: 127.0.0.1:9}}
)");
  EXPECT_EQ(fault_lines(loaded), "");
  EXPECT_EQ(loaded.config.listeners.at(1).timeouts.idle, std::chrono::hours(1));
}

TEST(Document, LetsAMapsOwnKeysWinOverWhatItMerges) {
  const Loaded loaded = load(R"(listeners:
  - &web {name: one, bind: ":1", backlog: 7, backend: app}
  - {<<: *web, name: two, bind: ":2"}
  - {name: three, <<: [{bind: ":3"}, *web]}
backends: {app: {servers: 127.0.0.1:9}}
)");
  EXPECT_EQ(fault_lines(loaded), "");
  ASSERT_EQ(loaded.config.listeners.size(), 3u);
  EXPECT_EQ(loaded.config.listeners[1].backlog, 7);
  EXPECT_EQ(loaded.config.listeners[1].name, "two");
  EXPECT_EQ(loaded.config.listeners[2].bind.at(0).address.port(), 3);
}

TEST(Document, RefusesToMergeWhatIsNoMap) {
  EXPECT_EQ(faults_of("<<: text\n" + small()), "t.yaml:1:5: \"<<\" merges a map or a list of maps\n");
  EXPECT_EQ(
      faults_of("? [a]\n: b\n" + small()),
      "t.yaml:1:3: a key is a word, not a list; put quotes around an IPv6 address, as in \"[::1]:8443\"\n");
}

TEST(Document, RefusesAnAliasInsideWhatItNames) {
  EXPECT_NE(faults_of("log: &log {level: *log}\n" + small())
                .find("an alias cannot be inside the value that it names"),
            std::string::npos);
}

TEST(Document, BoundsWhatAliasesStandFor) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int level = 1; level < 12; ++level) {
    const std::string before = "*a" + std::to_string(level - 1);
    bomb += "a" + std::to_string(level) + ": &a" + std::to_string(level) + " [";
    for (int copy = 0; copy < 10; ++copy) bomb += before + (copy < 9 ? ", " : "]\n");
  }
  const auto begin = std::chrono::steady_clock::now();
  const Loaded loaded = load(bomb);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  ASSERT_EQ(loaded.faults.size(), 1u);
  EXPECT_EQ(loaded.faults[0].what,
            "the configuration has more than 1000000 values with its aliases expanded; that is too many");
}

TEST(Document, BoundsTheTextThatAliasesRepeat) {
  std::string bomb = "a: &a \"" + std::string(1'000'000, 'x') + "\"\nb: [";
  for (int copy = 0; copy < 10'000; ++copy) bomb += "*a, ";
  EXPECT_NE(faults_of(bomb + "*a]\n").find("with its aliases expanded"), std::string::npos);
}

TEST(Document, WithThousandsOfFaultsIsAnsweredWithAllOfThem) {
  std::string text = "listeners:\n";
  for (int count = 0; count < 2'000; ++count)
    text += "  - {bind: nowhere, backend: b" + std::to_string(count) + "}\n";
  text += "backends:\n";
  for (int count = 0; count < 2'000; ++count)
    text += "  a" + std::to_string(count) + ": {servers: nowhere}\n";
  EXPECT_EQ(load(text).faults.size(), 6'000u);
}

TEST(Document, BoundsHowDeepItNests) {
  for (const char bracket : {'[', '{'}) {
    const Loaded loaded = load(std::string(100'000, bracket));
    ASSERT_EQ(loaded.faults.size(), 1u);
    EXPECT_EQ(loaded.faults[0].what, "is nested too deeply for a configuration");
  }
}

TEST(Document, OfEveryPrefixOfAGoodFileLoadsOrIsRefused) {
  const std::string good =
      show(load(small_tls("      client_auth: {mode: required, ca: \"c\\x41\"}\n")).config);
  for (std::size_t length = 0; length < good.size(); ++length) {
    const Loaded loaded = load(good.substr(0, length));
    for (const Fault& fault : loaded.faults) EXPECT_FALSE(fault.what.empty());
  }
}

TEST(Document, WithAnyByteDamagedLoadsOrIsRefused) {
  const std::string good = small_tls("      groups: &g [X25519, \"P-256\"] # comment\n      alpn: *g\n");
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const char byte :
         {'\0', '\t', '\n', ' ', ':', '[', '{', '"', '\'', '*', '&', '!', '|', '%', '@', '\x80', '\xff'}) {
      std::string damaged = good;
      damaged[at] = byte;
      for (const Fault& fault : load(damaged).faults) EXPECT_FALSE(fault.text().empty());
    }
  }
}

}  // namespace
}  // namespace headgate::config
