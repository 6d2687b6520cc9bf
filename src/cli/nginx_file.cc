#include "cli/nginx_file.h"

#include <glob.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/ascii.h"
#include "cli/import_file.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

/// Cuts a file into words and the signs ";", "{" and "}".
class NginxTokens {
 public:
  explicit NginxTokens(std::string_view text) : rest_(text) {}

  /// The next token, empty at the end of the file or for an empty string.
  std::string next() {
    skip_blanks();
    token_line_ = line_;
    is_sign_ = !rest_.empty() && is_sign(rest_.front());
    at_end_ = rest_.empty();
    if (rest_.empty()) return {};
    if (is_sign_) return std::string(1, take());
    if (rest_.front() == '"' || rest_.front() == '\'') return take_string();
    return take_word();
  }
  [[nodiscard]] bool is(char sign, const std::string& token) const {
    return is_sign_ && token.front() == sign;
  }
  [[nodiscard]] bool at_end() const { return at_end_; }
  /// Whether a string does not end.
  [[nodiscard]] bool is_open() const { return open_; }
  /// Where the last token began, from 1.
  [[nodiscard]] int line() const { return token_line_; }

 private:
  static bool is_sign(char c) { return c == ';' || c == '{' || c == '}'; }
  static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

  char take() {
    const char c = rest_.front();
    if (c == '\n') ++line_;
    rest_.remove_prefix(1);
    return c;
  }

  void skip_blanks() {
    bool comment = false;
    while (!rest_.empty()) {
      const char c = rest_.front();
      comment = (comment && c != '\n') || c == '#';
      if (!comment && !is_blank(c)) return;
      take();
    }
  }

  /// A backslash stays, unless it stands before a quote, another one, or the letter of a blank.
  void take_escape(std::string& word) {
    take();
    if (rest_.empty()) return;
    const char c = take();
    constexpr std::array<std::pair<char, char>, 3> kLetters{{{'t', '\t'}, {'r', '\r'}, {'n', '\n'}}};
    const auto* const blank = std::ranges::find(kLetters, c, &std::pair<char, char>::first);
    if (blank != kLetters.end()) {
      word += blank->second;
    } else {
      if (c != '"' && c != '\'' && c != '\\') word += '\\';
      word += c;
    }
  }

  std::string take_string() {
    const char quote = take();
    std::string word;
    while (!rest_.empty() && rest_.front() != quote) {
      if (rest_.front() == '\\') {
        take_escape(word);
      } else {
        word += take();
      }
    }
    open_ = rest_.empty();
    if (!open_) take();
    return word;
  }

  std::string take_word() {
    std::string word;
    bool in_variable = false;
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '{' && word.ends_with('$')) in_variable = true;
      if (is_blank(c) || (is_sign(c) && !in_variable)) break;
      if (c == '}') in_variable = false;
      if (c == '\\') {
        take_escape(word);
      } else {
        word += take();
      }
    }
    return word;
  }

  std::string_view rest_;
  int line_ = 1;
  int token_line_ = 1;
  bool is_sign_ = false;
  bool at_end_ = false;
  bool open_ = false;
};

/// The files that match `pattern`, in the order in which nginx reads them.
std::vector<std::string> files_of(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> files;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0)
    files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  return files;
}

class NginxReader {
 public:
  NginxReader(std::string directory, Imported& into) : directory_(std::move(directory)), into_(into) {}

  /// Reads `text`, the content of `file`, into `lines`.
  void read_file(std::string_view text, const std::string& file, std::vector<NginxLine>& lines) {
    const std::string outer = std::exchange(file_, file);
    NginxTokens tokens(text);
    read_block(tokens, lines, 0);
    file_ = outer;
  }

 private:
  enum class End { kLine, kBlock, kFile };

  void read_block(NginxTokens& tokens, std::vector<NginxLine>& lines, int depth) {
    while (true) {
      Words words;
      int line = 1;
      const End end = read_words(tokens, words, line);
      if (words.empty()) {
        if (end == End::kFile && depth > 0)
          lose(tokens.line(), R"(the file ends inside a block: "}" is missing)");
        if (end == End::kBlock && depth == 0) lose(tokens.line(), R"("}" ends no block)");
        if (end == End::kFile || (end == End::kBlock && depth > 0)) return;
        continue;
      }
      if (end != End::kLine) lose(line, words[0] + R"(: ";" is missing)");
      add_line(tokens, Directive(line, std::move(words), file_), lines, depth);
      if (end == End::kFile) return;
      if (end == End::kBlock && depth > 0) return;
    }
  }

  /// The words up to ";" or "{", which `opened_` tells apart.
  End read_words(NginxTokens& tokens, Words& words, int& line) {
    opened_ = false;
    while (true) {
      std::string token = tokens.next();
      if (tokens.is_open()) lose(tokens.line(), "a quote is not closed");
      if (tokens.at_end()) return End::kFile;
      if (tokens.is('}', token)) return End::kBlock;
      opened_ = tokens.is('{', token);
      if (opened_ || tokens.is(';', token)) return End::kLine;
      if (words.empty()) line = tokens.line();
      words.push_back(std::move(token));
    }
  }

  void add_line(NginxTokens& tokens, Directive directive, std::vector<NginxLine>& lines, int depth) {
    constexpr int kMaxDepth = 16;
    if (!opened_) {
      if (directive.is("include") && !is_foreign_) return include(directive, lines);
      lines.push_back({std::move(directive)});
      return;
    }
    NginxLine line{std::move(directive), true};
    const bool was_foreign = is_foreign_;
    is_foreign_ = is_foreign_ || line.name() == "http" || line.name() == "mail";
    if (depth < kMaxDepth) {
      read_block(tokens, line.block, depth + 1);
    } else {
      into_.lose(line.directive, line.name() + ": blocks are nested too deeply; left out with all behind it");
    }
    is_foreign_ = was_foreign;
    lines.push_back(std::move(line));
  }

  void include(const Directive& directive, std::vector<NginxLine>& lines) {
    constexpr int kMaxFiles = 1000;
    const std::string pattern = path_below(directory_, directive.value());
    const auto files = files_of(pattern);
    if (files.empty()) return name_missing(directive, pattern);
    for (const std::string& file : files) {
      if (++files_read_ > kMaxFiles)
        return into_.lose(directive, "include: more than 1,000 files; the rest is not read");
      const auto text = read_import_file(file);
      const std::string fault = text ? fault_of_import(*text) : text.error().what;
      if (fault.empty()) {
        read_file(*text, file, lines);
      } else {
        into_.lose(directive, "include: " + file + ' ' + fault);
      }
    }
  }

  /// nginx itself takes a pattern that no file matches.
  void name_missing(const Directive& directive, const std::string& pattern) {
    std::error_code unknown;
    const bool is_pattern = pattern.find_first_of("*?[") != std::string::npos;
    const bool is_empty =
        is_pattern && std::filesystem::is_directory(std::filesystem::path(pattern).parent_path(), unknown);
    if (is_empty) {
      into_.note(directive, "include: no file matches; left out");
    } else {
      into_.lose(directive, "include: the file is not here, and so its lines are missing: " + pattern);
    }
  }

  void lose(int line, std::string what) { into_.lose(Directive(line, {}, file_), std::move(what)); }

  std::string directory_, file_;
  Imported& into_;
  bool opened_ = false;      // the last line began a block
  bool is_foreign_ = false;  // inside "http" or "mail"
  int files_read_ = 0;
};

}  // namespace

std::vector<NginxLine> nginx_lines(const ImportSource& source, Imported& into) {
  std::vector<NginxLine> lines;
  NginxReader(source.directory, into).read_file(source.text, {}, lines);
  return lines;
}

std::optional<bool> nginx_switch(std::string_view text) {
  if (ascii_lower(text) == "on") return true;
  if (ascii_lower(text) == "off") return false;
  return std::nullopt;
}

}  // namespace headgate
