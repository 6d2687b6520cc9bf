#include "config/variables.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "config/keys.h"
#include "config/known_keys.h"
#include "config/show.h"
#include "unit/config/loading.h"

namespace headgate::config {
namespace {

class VariablesTest : public testing::Test {
 protected:
  void set(const std::string& name, const std::string& value) {
    names_.insert(name);
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~VariablesTest() override {
    for (const std::string& name : names_) ::unsetenv(name.c_str());
  }

  /// The value of `text`, or what is wrong with it.
  static std::string put_in(std::string_view text, Showing showing = Showing::kShown) {
    Variables variables({"HG_PORT", "HG_APP_*"});
    const auto value = variables.put_in(text, showing);
    return value ? value->text : "fault: " + value.error().what;
  }

  std::set<std::string> names_;
};

/// A configuration whose `text` stands where the backlog does.
std::string backlog_of(std::string_view text) {
  return "environment: [HG_PORT, \"HG_APP_*\"]\n" + small("    backlog: " + std::string(text) + "\n");
}

TEST_F(VariablesTest, ArePutIntoValuesThatNameThem) {
  set("HG_PORT", "8443");
  set("HG_APP_HOST", "app.internal");
  EXPECT_EQ(put_in("${HG_APP_HOST}:${HG_PORT}"), "app.internal:8443");
  EXPECT_EQ(put_in("a${HG_PORT}b"), "a8443b");
}

TEST_F(VariablesTest, HaveADefaultWhereTheyAreNotSetOrEmpty) {
  EXPECT_EQ(put_in("${HG_PORT:-1}"), "1");
  EXPECT_EQ(put_in("${HG_PORT:-}"), "");
  EXPECT_EQ(put_in("${HG_APP_A:-[::1]:80}"), "[::1]:80");
  set("HG_PORT", "");
  EXPECT_EQ(put_in("${HG_PORT:-1}"), "1");
  set("HG_PORT", "2");
  EXPECT_EQ(put_in("${HG_PORT:-1}"), "2");
}

TEST_F(VariablesTest, LeaveOtherDollarsAsTheyAre) {
  EXPECT_EQ(put_in("$sni"), "$sni");
  EXPECT_EQ(put_in("$alpn"), "$alpn");
  EXPECT_EQ(put_in("$"), "$");
  EXPECT_EQ(put_in("a$b$"), "a$b$");
  EXPECT_EQ(put_in("$${HG_PORT}"), "${HG_PORT}");
  EXPECT_EQ(put_in("$$$$"), "$$");
  EXPECT_EQ(put_in("${HG_PORT:-$sni}"), "$sni");
}

TEST_F(VariablesTest, AreNotLookedForInWhatWasPutIn) {
  set("HG_APP_A", "${HG_PORT} $$ ${");
  EXPECT_EQ(put_in("${HG_APP_A}"), "${HG_PORT} $$ ${");
}

TEST_F(VariablesTest, ThatCannotBePutInAreFaultsWithTheirName) {
  const std::map<std::string, std::string> faults{
      {"${HG_PORT}",
       "${HG_PORT} is not set; set it where Headgate is started, or give a default: ${HG_PORT:-DEFAULT}"},
      {"${HG_PROT:-1}",
       "${HG_PROT} is not in `environment`, which names the variables that may be put in; did you mean "
       "\"HG_PORT\"?"},
      {"${HG_PORT", "\"${\" begins a variable that no \"}\" ends; the text itself is written $${"},
      {"${}",
       "\"${}\" is not a variable; write ${NAME}, or ${NAME:-DEFAULT}; the text itself is written $${"},
      {"${HG_PORT:?unset}",
       "\"${HG_PORT:?unset}\" is not a variable; write ${NAME}, or ${NAME:-DEFAULT}; the text itself is "
       "written $${"},
      {"${HG_PORT:-${HG_APP_A}}", "the default of ${HG_PORT} cannot have a variable in it"},
  };
  for (const auto& [text, fault] : faults) EXPECT_EQ(put_in(text), "fault: " + fault);
  set("HG_PORT", "");
  EXPECT_EQ(put_in("${HG_PORT}").substr(0, 38), "fault: ${HG_PORT} is set, but empty; s");
}

TEST_F(VariablesTest, WithAValueThatIsNoSingleTextAreFaults) {
  const std::string begin = "fault: the value of ${HG_PORT} ";
  set("HG_PORT", "8443\nadmin: {bind: ':1'}");
  EXPECT_EQ(put_in("${HG_PORT}"),
            begin + "has a line break or another control character in it; a variable holds a single value");
  set("HG_PORT", "\xff");
  EXPECT_EQ(put_in("${HG_PORT}"), begin + "is not UTF-8");
  set("HG_PORT", std::string(4097, 'a'));
  EXPECT_EQ(put_in("${HG_PORT}"), begin + "is longer than 4096 bytes; a variable holds a single value");
}

TEST_F(VariablesTest, PutInNoMoreThanABound) {
  set("HG_PORT", std::string(4096, 'a'));
  Variables variables({"HG_PORT"});
  for (std::size_t i = 0; i < Variables::kMostBytes / 4096; ++i)
    ASSERT_TRUE(variables.put_in("${HG_PORT}", Showing::kShown));
  EXPECT_FALSE(variables.put_in("${HG_PORT}", Showing::kShown));
}

TEST_F(VariablesTest, NeverHoldASecret) {
  set("HG_PORT", "-----BEGIN PRIVATE KEY-----");
  EXPECT_EQ(
      put_in("${HG_PORT}"),
      "fault: the value of ${HG_PORT} holds a key or a certificate itself (it is not shown); keep it in a "
      "file");
  for (const char* name :
       {"HG_APP_PASSWORD", "HG_APP_SECRET", "HG_APP_API_KEY", "HG_APP_token", "HG_APP_PASS",
        "HG_APP_DB_CREDENTIALS", "HG_APP_KEY_BASE64", "HG_APP_API_KEY_2", "HG_APP_APIKEY", "HG_APP_PWD"}) {
    set(name, "hunter2");
    const std::string told = put_in("${" + std::string(name) + '}');
    EXPECT_NE(told.find("is that of a secret"), told.npos) << told;
    EXPECT_EQ(told.find("hunter2"), told.npos) << told;
    EXPECT_FALSE(check_variable_pattern(name));
  }
  set("HG_APP_PASSWORD_FILE", "/run/secrets/password");
  EXPECT_EQ(put_in("${HG_APP_PASSWORD_FILE}"), "/run/secrets/password");
  set("HG_APP_KEYCLOAK_HOST", "login.internal");
  EXPECT_EQ(put_in("${HG_APP_KEYCLOAK_HOST}"), "login.internal");
}

TEST_F(VariablesTest, ArePermittedByNameOrByTheBeginningOfTheName) {
  for (const char* right : {"PORT", "_x9", "APP_*", "a*"})
    EXPECT_TRUE(check_variable_pattern(right)) << right;
  for (const char* wrong : {"", "*", "9A", "A-B", "A*B", "*A", "A**", "${A}", "A B", "DB_PASSWORD"})
    EXPECT_FALSE(check_variable_pattern(wrong)) << wrong;
}

TEST_F(VariablesTest, AreTypedByTheKey) {
  set("HG_PORT", "128");
  const Loaded loaded = load(backlog_of("${HG_PORT}"));
  EXPECT_EQ(fault_lines(loaded), "");
  EXPECT_EQ(loaded.config.listeners[0].backlog, 128);
  ASSERT_EQ(loaded.variables.size(), 1U);
  EXPECT_EQ(loaded.variables[0].text(),
            "t.yaml:5:14: listeners[0].backlog: note: HG_PORT of the environment is \"128\"");
}

TEST_F(VariablesTest, AreNamedByTheFaultsOfTheirValue) {
  set("HG_PORT", "many");
  EXPECT_EQ(faults_of(backlog_of("${HG_PORT}")),
            "t.yaml:5:14: listeners[0].backlog: \"many\" is not a whole number; write one from 1 to 65535 "
            "(HG_PORT of the environment is \"many\")\n");
  EXPECT_EQ(faults_of(backlog_of("${HG_APP_A:-many}")),
            "t.yaml:5:14: listeners[0].backlog: \"many\" is not a whole number; write one from 1 to 65535 "
            "(HG_APP_A is not set, so its default is put in: \"many\")\n");
  EXPECT_EQ(faults_of("environment: HG_APP_A\n" + small("    routes: [{backend: \"${HG_APP_A:-ap}\"}]\n")),
            "t.yaml:5:24: listeners[0].routes[0].backend: there is no backend \"ap\"; did you mean \"app\"? "
            "(HG_APP_A is not set, so its default is put in: \"ap\")\n");
}

TEST_F(VariablesTest, NeverAddStructure) {
  set("HG_APP_A", "app}, {backend: x");
  EXPECT_EQ(
      load("environment: HG_APP_A\n" + small("    routes: [{backend: \"${HG_APP_A}\"}]\n")).faults.size(),
      1U);
  set("HG_APP_A", "[127.0.0.1:1, 127.0.0.1:2]");
  const std::string told = faults_of(
      "environment: HG_APP_A\nlisteners: [{bind: ':1', backend: a}]\nbackends: {a: {servers: "
      "\"${HG_APP_A}\"}}\n");
  EXPECT_NE(told.find("t.yaml:3:25: backends.a.servers[0].address: "), told.npos) << told;
}

TEST_F(VariablesTest, MayHoldAListThatIsWrittenAsOneText) {
  set("HG_APP_GROUPS", "X25519:P-256");
  const auto groups = [](const std::string& text) {
    return load("environment: [\"HG_APP_*\"]\n" + small_tls("      groups: " + text + '\n'));
  };
  EXPECT_EQ(groups("${HG_APP_GROUPS}:P-384").config.listeners[0].tls->groups,
            (std::vector<std::string>{"X25519", "P-256", "P-384"}));
  EXPECT_EQ(groups("${HG_APP_NONE:-P-384:P-256}").config.listeners[0].tls->groups,
            (std::vector<std::string>{"P-384", "P-256"}));
  EXPECT_EQ(
      fault_lines(groups("${HG_APP_NONE}")),
      "t.yaml:7:15: listeners[0].tls.groups: ${HG_APP_NONE} is not set; set it where Headgate is started, "
      "or give a default: ${HG_APP_NONE:-DEFAULT}\n");
}

TEST_F(VariablesTest, MeanNothingWithoutTheKey) {
  set("HG_PORT", "128");
  EXPECT_EQ(
      faults_of(small("    backlog: ${HG_PORT}\n")),
      "t.yaml:4:14: listeners[0].backlog: \"${HG_PORT}\" is not a whole number; write one from 1 to 65535; "
      "a variable of the environment is put in where the key `environment` names it\n");
  const Loaded loaded = load(small("", "    health_check: {send: \"$$${HG_PORT}\", expect: \"$\"}\n"));
  EXPECT_EQ(fault_lines(loaded), "");
  EXPECT_EQ(loaded.config.backends.at("app").health_check->send, "$$${HG_PORT}");
}

TEST_F(VariablesTest, AreNotPutIntoKeysAboutSecrets) {
  set("HG_PORT", "hunter2");
  const std::string tls = "      resumption: {secret_file: \"${HG_PORT}\"}\n      keylog_file: ${HG_PORT}\n";
  const std::string told =
      faults_of("environment: HG_PORT\n" + small_tls(tls) + "admin: {token_file: \"${HG_PORT}\"}\n");
  EXPECT_EQ(std::ranges::count(told, '\n'), 3) << told;
  EXPECT_EQ(told.find("hunter2"), told.npos) << told;
  EXPECT_NE(told.find("t.yaml:7:33: listeners[0].tls.resumption.secret_file: no variable is put in here"),
            told.npos)
      << told;
  EXPECT_NE(faults_of("environment: HG_PORT\n" + small("", "    health_check: {send: \"AUTH ${HG_PORT}\"}\n"))
                .find("no variable is put in here"),
            std::string::npos);
}

/// Gathers which keys take no variable.
struct SecretKeys {
  std::set<std::string>& found;

  template <class T, class Notation>
  void value(std::string_view key, T&, const Notation&) {
    if constexpr (requires { requires !Notation::kTakesVariables; }) found.emplace(key);
  }
  template <class T, class Notation>
  void list(std::string_view, std::vector<T>&, const Notation&, ListForm) {}
  template <class T>
  void map(std::string_view, T& target) {
    visit_keys(*this, target);
  }
  template <class T>
  void admitting_map(std::string_view, T&) {}
  template <class T>
  void optional_map(std::string_view, std::optional<T>&) {
    T object;
    visit_keys(*this, object);
  }
  template <class T>
  void maps(std::string_view, std::vector<T>&, std::string_view) {
    T object;
    visit_keys(*this, object);
  }
  template <class T, class Notation>
  void named_maps(std::string_view, std::map<std::string, T>&, const Notation&) {
    T object;
    visit_keys(*this, object);
  }
  template <class T, class Notation, class NameNotation>
  void value_or_map(std::string_view, T&, std::map<std::string, T>&, const Notation&, const NameNotation&) {}
  template <class T, class Notation, class Map>
  void value_or_keys(std::string_view, T&, const Notation&, Map&, bool) {}
};

TEST_F(VariablesTest, AreTakenByNoKeyThatNamesASecret) {
  std::set<std::string> found;
  SecretKeys gatherer{found};
  Config config;
  visit_keys(gatherer, config);
  for (const KnownKey& known : known_keys()) {
    const std::string word = known.path.substr(known.path.rfind('.') + 1);
    for (const char* part : {"private_key", "secret", "token", "password"}) {
      EXPECT_TRUE(word.find(part) == word.npos || found.contains(word)) << known.path;
    }
  }
  EXPECT_GE(found.size(), 6U);
}

TEST_F(VariablesTest, AreInNoKeyAndNotInTheKeysAboutSources) {
  set("HG_PORT", "app");
  const std::string told = faults_of(
      "environment: HG_PORT\ninclude: ${HG_PORT}\nlisteners: [{bind: ':1', backend: app}]\nbackends:\n"
      "  ${HG_PORT}: {servers: 127.0.0.1:1}\n");
  EXPECT_NE(told.find("t.yaml:2:10: include[0]: "), told.npos) << told;
  EXPECT_NE(told.find("t.yaml:5:3: backends.${HG_PORT}: "), told.npos) << told;
}

TEST_F(VariablesTest, BetweenBracketsNeedQuotes) {
  const std::string wanted =
      "between brackets YAML takes the { of a variable for its own; put quotes around the value with "
      "\"${HG_PORT}\"";
  for (const char* line : {"bind: [${HG_PORT}]", "bind: [127.0.0.1:${HG_PORT}, ':2']",
                           "bind: {address: ${HG_PORT}}", "bind: [':1', ${HG_PORT}]"}) {
    const std::string told = faults_of("environment: HG_PORT\nlisteners:\n  - " + std::string(line) + "\n");
    EXPECT_NE(told.find(wanted), told.npos) << line << ": " << told;
  }
}

TEST_F(VariablesTest, AreShownAsWhatWasPutIn) {
  set("HG_PORT", "128");
  const Loaded loaded = load(backlog_of("${HG_PORT}"));
  const std::string shown = show(loaded.config);
  EXPECT_NE(shown.find("    backlog: 128\n"), shown.npos) << shown;
  EXPECT_EQ(shown.find("environment"), shown.npos);
  EXPECT_EQ(load(shown).config, loaded.config);
}

}  // namespace
}  // namespace headgate::config
