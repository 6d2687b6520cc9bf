#include "cli/ghostunnel_file.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "cli/ghostunnel_words.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

/// Flags without a value. Every other known flag has one.
constexpr std::array<std::string_view, 13> kBare{"--proxy-protocol",
                                                 "--unsafe-target",
                                                 "--unsafe-listen",
                                                 "--allow-all",
                                                 "--use-workload-api",
                                                 "--use-landlock",
                                                 "--disable-landlock",
                                                 "--disable-authentication",
                                                 "--enable-pprof",
                                                 "--enable-shutdown",
                                                 "--keychain-require-token",
                                                 "--auto-acme-agree-to-tos",
                                                 "--allow-unsafe-cipher-suites"};

bool takes_value(std::string_view flag) {
  static const std::set<std::string_view> flags = {"--listen",
                                                   "--target",
                                                   "--target-status",
                                                   "--allow-cn",
                                                   "--allow-ou",
                                                   "--allow-dns",
                                                   "--allow-dns-san",
                                                   "--allow-ip",
                                                   "--allow-ip-san",
                                                   "--allow-uri",
                                                   "--allow-uri-san",
                                                   "--allow-policy",
                                                   "--allow-query",
                                                   "--auto-acme-cert",
                                                   "--auto-acme-email",
                                                   "--auto-acme-ca",
                                                   "--auto-acme-testca",
                                                   "--override-server-name",
                                                   "--proxy",
                                                   "--connect-proxy",
                                                   "--verify-cn",
                                                   "--verify-ou",
                                                   "--verify-dns",
                                                   "--verify-dns-san",
                                                   "--verify-ip",
                                                   "--verify-ip-san",
                                                   "--verify-uri",
                                                   "--verify-uri-san",
                                                   "--verify-policy",
                                                   "--verify-query",
                                                   "--keystore",
                                                   "--cert",
                                                   "--key",
                                                   "--storepass",
                                                   "--cacert",
                                                   "--use-workload-api-addr",
                                                   "--cipher-suites",
                                                   "--max-tls-version",
                                                   "--timed-reload",
                                                   "--shutdown-timeout",
                                                   "--connect-timeout",
                                                   "--close-timeout",
                                                   "--max-conn-lifetime",
                                                   "--max-concurrent-conns",
                                                   "--metrics-graphite",
                                                   "--metrics-url",
                                                   "--metrics-prefix",
                                                   "--metrics-interval",
                                                   "--status",
                                                   "--quiet",
                                                   "--keychain-identity",
                                                   "--keychain-issuer",
                                                   "--pkcs11-module",
                                                   "--pkcs11-token-label",
                                                   "--pkcs11-pin",
                                                   "--proxy-protocol-mode"};
  return flags.contains(flag);
}

/// The variables that stand for flags, and what may set them.
std::string_view environment_in(std::string_view text) {
  static constexpr std::array<std::string_view, 9> kNames{
      "KEYSTORE_PATH",          "KEYSTORE_PASS", "CERT_PATH",       "KEY_PATH", "CACERT_PATH",
      "SPIFFE_ENDPOINT_SOCKET", "PKCS11_",       "EnvironmentFile", "envFrom"};
  const auto* const found = std::ranges::find_if(
      kNames, [text](std::string_view name) { return text.find(name) != std::string_view::npos; });
  return found == kNames.end() ? std::string_view() : *found;
}

/// Whether `word` is the program, or an image of it: "/usr/bin/ghostunnel", "ghostunnel/ghostunnel:v1.8".
bool is_program(std::string_view word) {
  word = word.substr(word.rfind('/') + 1);
  return word.substr(0, word.find(':')) == "ghostunnel";
}

bool is_mode(std::string_view word) {
  return word == "server" || word == "client";
}

/// Turns words into flags.
class GhostunnelReader {
 public:
  explicit GhostunnelReader(Imported& into) : into_(into) {}

  void read(const ShellWords& words) {
    const bool begins =
        is_mode(words.front().text) ||
        (words.front().text.starts_with("--") && std::ranges::any_of(words, is_mode, &ShellWord::text));
    if (begins) return read_flags(words);
    const auto program =
        std::ranges::find_if(words, [](const ShellWord& word) { return is_program(word.text); });
    if (program == words.end() || program + 1 == words.end()) return other(words.front().line, words);
    name_before(ShellWords(words.begin(), program));
    read_flags(ShellWords(program + 1, words.end()));
  }

  /// Text that is no command line.
  void other(int line, const ShellWords& words) {
    bool named = false;
    for (const ShellWord& word : words) named = name_environment(word) || named;
    if (!named) others_.insert(line);
  }

  std::vector<GhostunnelCommand> finish() {
    if (commands_.empty())
      into_.lose(
          1, R"(there is no command line: a file has "ghostunnel server" or "ghostunnel client" with flags)");
    for (auto at = others_.begin(); at != others_.end(); ++at) {
      const int first = *at;
      while (std::next(at) != others_.end() && *std::next(at) == *at + 1) ++at;
      const std::string until = *at > first ? " (up to line " + std::to_string(*at) + ")" : "";
      into_.note(first, "left out: it is no command line of ghostunnel" + until);
    }
    return std::move(commands_);
  }

 private:
  bool name_environment(const ShellWord& word) {
    const std::string_view name = environment_in(word.text);
    if (!name.empty())
      into_.lose(word.line, std::string(name) + ": variables of the environment are not read; write flags");
    return !name.empty();
  }

  void name_before(const ShellWords& words) {
    for (const ShellWord& word : words) {
      if (!name_environment(word) && word.text != "exec" && word.text != "nohup")
        into_.note(word.line, "left out: the words before ghostunnel");
    }
  }

  void read_flags(const ShellWords& words) {
    GhostunnelCommand command;
    for (std::size_t i = 0; i < words.size(); ++i) {
      const ShellWord& word = words[i];
      if (word.text.starts_with("--") && word.text.size() > 2) {
        i += read_flag(word, i + 1 < words.size() ? &words[i + 1] : nullptr, command);
      } else if (is_mode(word.text) && command.line == 0) {
        command.line = word.line;
        command.is_server = word.text == "server";
      } else {
        into_.lose(word.line, "a word that is no flag has no equivalent in Headgate");
      }
    }
    if (command.line == 0)
      return into_.lose(words.empty() ? 1 : words.front().line,
                        "ghostunnel is started without \"server\" and \"client\", and so does not serve");
    commands_.push_back(std::move(command));
  }

  /// Returns how many words behind the flag belong to it.
  std::size_t read_flag(const ShellWord& word, const ShellWord* next, GhostunnelCommand& command) {
    const std::size_t equals = std::min(word.text.find('='), word.text.size());
    std::string flag = word.text.substr(0, equals);
    const bool has_value = equals < word.text.size();
    bool variable = word.variable;
    Words parts{flag};
    std::size_t taken = 0;
    if (has_value) {
      parts.push_back(word.text.substr(equals + 1));
    } else if (takes_value(flag) && next != nullptr) {
      parts.push_back(next->text);
      variable = variable || next->variable;
      taken = 1;
    } else if (takes_value(flag)) {
      into_.lose(word.line, flag + ": has no value");
    }
    if (variable) into_.lose(word.line, flag + ": variables are not put in; write their values");
    if (std::ranges::find(kBare, flag) != kBare.end() && has_value)
      into_.lose(word.line, flag + ": takes no value");
    command.flags.emplace_back(word.line, std::move(parts));
    return taken;
  }

  Imported& into_;
  std::vector<GhostunnelCommand> commands_;
  std::set<int> others_;
};

bool is_unit(const std::vector<TextLine>& lines) {
  return std::ranges::any_of(lines, [](const TextLine& line) {
    return line.text == "[Service]" || line.text.starts_with("ExecStart=");
  });
}

bool is_container(const std::vector<TextLine>& lines) {
  static constexpr std::array<std::string_view, 11> kBeginnings{
      "- ",        "[",          "command:", "args:", "entrypoint:", "\"command\":",
      "\"args\":", "ENTRYPOINT", "CMD ",     "FROM ", "services:"};
  return std::ranges::any_of(lines, [](const TextLine& line) {
    return std::ranges::any_of(kBeginnings,
                               [&line](std::string_view begin) { return line.text.starts_with(begin); });
  });
}

}  // namespace

std::vector<GhostunnelCommand> ghostunnel_commands(std::string_view text, Imported& into) {
  const auto lines = lines_of(text);
  GhostunnelText found;
  if (is_unit(lines)) {
    found = unit_commands(text);
  } else if (is_container(lines)) {
    found = container_commands(text);
  } else {
    found.commands = shell_commands(text, 1);
  }
  GhostunnelReader reader(into);
  for (const ShellWords& command : found.commands) reader.read(command);
  for (const ShellWords& other : found.others) reader.other(other.front().line, other);
  return reader.finish();
}

}  // namespace headgate
