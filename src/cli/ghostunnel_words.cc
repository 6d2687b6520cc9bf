#include "cli/ghostunnel_words.h"

#include <algorithm>
#include <array>
#include <utility>

#include "cli/import_words.h"

namespace headgate {
namespace {

/// Cuts a script into commands.
class ShellReader {
 public:
  ShellReader(std::string_view text, int line) : rest_(text), line_(line) {}

  std::vector<ShellWords> read() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '\\') {
        take_escape();
      } else if (c == '"' || c == '\'') {
        take_quotes(take());
      } else if (c == '#' && !in_word_) {
        while (!rest_.empty() && rest_.front() != '\n') take();
      } else if (c == '\n' || c == ';' || c == '&' || c == '|') {
        end_command();
        take();
      } else if (c == ' ' || c == '\t' || c == '\r') {
        end_word();
        take();
      } else {
        add(take(), false);
      }
    }
    end_command();
    return std::move(commands_);
  }

 private:
  char take() {
    const char c = rest_.front();
    if (c == '\n') ++line_;
    rest_.remove_prefix(1);
    return c;
  }

  void begin_word() {
    if (!in_word_) word_ = {{}, line_, false};
    in_word_ = true;
  }

  void add(char c, bool literal) {
    begin_word();
    word_.text += c;
    word_.variable = word_.variable || (!literal && (c == '$' || c == '`'));
  }

  void end_word() {
    if (in_word_) words_.push_back(std::move(word_));
    in_word_ = false;
  }

  void end_command() {
    end_word();
    if (!words_.empty()) commands_.push_back(std::exchange(words_, {}));
  }

  /// A backslash joins two lines, or stands for the character behind it.
  void take_escape() {
    take();
    if (rest_.starts_with("\r\n")) take();
    if (rest_.empty()) return;
    const char c = take();
    if (c != '\n') add(c, true);
  }

  void take_quotes(char quote) {
    begin_word();
    while (!rest_.empty() && rest_.front() != quote) {
      if (rest_.front() == '\\' && quote == '"') {
        take_escape();
      } else {
        add(take(), quote == '\'');
      }
    }
    if (!rest_.empty()) take();
  }

  std::string_view rest_;
  int line_;
  bool in_word_ = false;
  ShellWord word_;
  ShellWords words_;
  std::vector<ShellWords> commands_;
};

void append_commands(std::string_view text, int line, std::vector<ShellWords>& commands) {
  for (ShellWords& command : shell_commands(text, line)) commands.push_back(std::move(command));
}

/// "%i" stands for something else in a unit, and "%%" for "%".
void mark_specifiers(ShellWords& command) {
  for (ShellWord& word : command) {
    for (std::size_t at = word.text.find('%'); at != std::string::npos; at = word.text.find('%', at + 1)) {
      if (word.text.compare(at, 2, "%%") == 0) {
        word.text.erase(at, 1);
      } else {
        word.variable = true;
      }
    }
  }
}

/// Reads the lists of arguments of containers.
class ContainerReader {
 public:
  GhostunnelText read(std::string_view text) {
    int number = 0;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      read_line(text.substr(0, end), ++number);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    end_list();
    return std::move(found_);
  }

 private:
  void read_line(std::string_view line, int number) {
    std::string_view rest = trimmed(line);
    if (in_flow_) return read_flow(rest, number);
    if (rest.empty() || rest.starts_with('#')) return;
    if (rest.starts_with("- ") && !is_map(rest.substr(2)))
      return add_item(line, trimmed(rest.substr(2)), number);
    end_list();
    const std::string_view arguments = behind_key(rest);
    if (arguments.starts_with('[')) {
      read_flow(arguments.substr(1), number);
    } else if (!arguments.empty() && arguments != "|" && !arguments.starts_with('>')) {
      append_commands(arguments, number, found_.commands);
    } else {
      found_.others.push_back({{std::string(rest), number, false}});
    }
  }

  /// "name: web", and not "host:443" or a quoted text.
  static bool is_map(std::string_view text) {
    if (text.starts_with('"') || text.starts_with('\'') || text.starts_with("--")) return false;
    return text.find(": ") != std::string_view::npos || text.ends_with(':');
  }

  /// What stands behind the name of a list of arguments; empty if `text` names none.
  static std::string_view behind_key(std::string_view text) {
    static constexpr std::array<std::string_view, 9> kKeys{
        "command:",   "args:",   "entrypoint:", "\"command\":", "\"args\":",
        "- command:", "- args:", "CMD ",        "ENTRYPOINT "};
    if (text.starts_with('[')) return text;
    for (const std::string_view key : kKeys) {
      if (text.starts_with(key)) return trimmed(text.substr(key.size()));
    }
    return {};
  }

  /// One item of a list in lines; those of one list stand in one column.
  void add_item(std::string_view line, std::string_view item, int number) {
    const std::size_t column = line.find('-');
    if (column != column_) end_list();
    column_ = column;
    list_.push_back(item_of(item, number));
  }

  static ShellWord item_of(std::string_view text, int number) {
    const char quote = text.empty() ? '\0' : text.front();
    if (quote == '"' || quote == '\'') {
      const std::size_t end = std::min(text.find(quote, 1), text.size());
      text = text.substr(1, end - 1);
    } else {
      text = trimmed(text.substr(0, std::min(text.find(" #"), text.size())));
    }
    return {std::string(text), number, text.find('$') != std::string_view::npos};
  }

  /// Items between brackets, which may stand in several lines.
  void read_flow(std::string_view text, int number) {
    in_flow_ = true;
    while (!(text = trimmed(text)).empty()) {
      if (text.front() == ']') {
        in_flow_ = false;
        return end_list();
      }
      if (text.front() == ',') {
        text.remove_prefix(1);
        continue;
      }
      const bool quoted = text.front() == '"' || text.front() == '\'';
      const std::size_t end = quoted ? std::min(text.find(text.front(), 1), text.size() - 1) + 1
                                     : std::min(text.find_first_of(",]"), text.size());
      list_.push_back(item_of(trimmed(text.substr(0, end)), number));
      text.remove_prefix(end);
    }
  }

  void end_list() {
    if (!list_.empty()) found_.commands.push_back(std::exchange(list_, {}));
  }

  GhostunnelText found_;
  ShellWords list_;
  std::size_t column_ = 0;
  bool in_flow_ = false;
};

}  // namespace

std::vector<ShellWords> shell_commands(std::string_view text, int line) {
  return ShellReader(text, line).read();
}

GhostunnelText unit_commands(std::string_view text) {
  constexpr std::string_view kStart = "ExecStart=";
  GhostunnelText found;
  const auto lines = lines_of(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i].text;
    if (line.empty() || line.starts_with('#') || line.starts_with(';') || line.starts_with('[')) continue;
    std::string joined(line);
    const int number = lines[i].number;
    while (joined.ends_with('\\') && i + 1 < lines.size()) (joined += '\n') += lines[++i].text;
    if (!line.starts_with(kStart)) {
      found.others.push_back({{std::move(joined), number, false}});
      continue;
    }
    const std::string_view command = std::string_view(joined).substr(kStart.size());
    const std::size_t begin = std::min(command.find_first_not_of("-@:+!"), command.size());
    append_commands(command.substr(begin), number, found.commands);
    if (!found.commands.empty()) mark_specifiers(found.commands.back());
  }
  return found;
}

GhostunnelText container_commands(std::string_view text) {
  return ContainerReader().read(text);
}

}  // namespace headgate
