#include "cli/hitch_file.h"

#include <algorithm>
#include <utility>

namespace headgate {
namespace {

/// Cuts the file into words, strings and the signs "=", "{" and "}".
class HitchTokens {
 public:
  explicit HitchTokens(std::string_view text) : rest_(text) {}

  /// The next token, empty at the end of the file; a string comes without its quotes.
  std::string next() {
    skip_blanks();
    quoted_ = !rest_.empty() && rest_.front() == '"';
    token_line_ = line_;
    if (rest_.empty()) return {};
    if (quoted_) return take_string();
    const std::size_t end =
        is_sign(rest_.front()) ? 1 : std::min(rest_.find_first_of(" \t\r\n={}\"#"), rest_.size());
    std::string token(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return token;
  }
  /// Whether the last token is the sign `sign`, and no string.
  [[nodiscard]] bool is(std::string_view sign, const std::string& token) const {
    return !quoted_ && token == sign;
  }
  /// Whether the sign `sign` comes next.
  [[nodiscard]] bool follows(char sign) {
    skip_blanks();
    return rest_.starts_with(sign);
  }
  /// Whether a version of TLS comes next, as in the list that `tls-protos` takes without quotes.
  [[nodiscard]] bool version_follows() {
    skip_blanks();
    return rest_.starts_with("TLSv") || rest_.starts_with("SSLv");
  }
  /// Whether the last token is a string that does not end in its line.
  [[nodiscard]] bool is_open() const { return quoted_ && open_; }
  [[nodiscard]] bool at_end() const { return rest_.empty() && !quoted_; }
  /// Where the last token began, from 1.
  [[nodiscard]] int line() const { return token_line_; }

 private:
  static bool is_sign(char c) { return c == '=' || c == '{' || c == '}'; }

  void skip_blanks() {
    bool comment = false;
    while (!rest_.empty()) {
      const char c = rest_.front();
      comment = (comment && c != '\n') || c == '#';
      if (!comment && c != ' ' && c != '\t' && c != '\r' && c != '\n') return;
      if (c == '\n') ++line_;
      rest_.remove_prefix(1);
    }
  }

  std::string take_string() {
    rest_.remove_prefix(1);
    const std::size_t end = std::min(rest_.find_first_of("\"\n"), rest_.size());
    std::string token(rest_.substr(0, end));
    open_ = end == rest_.size() || rest_[end] != '"';
    rest_.remove_prefix(end + (open_ ? 0 : 1));
    return token;
  }

  std::string_view rest_;
  int line_ = 1;
  int token_line_ = 1;
  bool quoted_ = false;
  bool open_ = false;
};

enum class Nesting { kFile, kBlock };

/// Reads entries up to the end of the file, or of a block. The deepest are blocks in the blocks of a
/// frontend.
class HitchReader {
 public:
  HitchReader(std::string_view text, Imported& into) : tokens_(text), into_(into) {}

  std::vector<HitchEntry> read(Nesting nesting, int depth = 0) {
    std::vector<HitchEntry> entries;
    while (true) {
      std::string key = tokens_.next();
      const int line = tokens_.line();
      if (key.empty() && tokens_.at_end()) {
        if (nesting == Nesting::kBlock) into_.lose(line, "the file ends inside a block: \"}\" is missing");
        return entries;
      }
      if (tokens_.is("}", key)) {
        if (nesting == Nesting::kBlock) return entries;
        into_.lose(line, "\"}\" ends no block");
      } else if (!tokens_.follows('=')) {
        into_.lose(line, "\"" + key + "\" is not followed by \"=\"");
      } else {
        tokens_.next();
        entries.push_back(read_value(std::move(key), line, depth));
      }
    }
  }

 private:
  HitchEntry read_value(std::string key, int line, int depth) {
    constexpr int kMaxDepth = 4;
    if (tokens_.follows('{') && depth < kMaxDepth) {
      tokens_.next();
      HitchEntry entry{Directive(line, {std::move(key)})};
      entry.block = read(Nesting::kBlock, depth + 1);
      return entry;
    }
    Words words{std::move(key)};
    if (!tokens_.follows('}') && !tokens_.follows('=')) words.push_back(tokens_.next());
    if (tokens_.is_open()) into_.lose(tokens_.line(), words[0] + ": a string is not closed");
    while (words[0] == "tls-protos" && tokens_.version_follows()) words.push_back(tokens_.next());
    return {Directive(line, std::move(words))};
  }

  HitchTokens tokens_;
  Imported& into_;
};

}  // namespace

std::vector<HitchEntry> hitch_entries(std::string_view text, Imported& into) {
  return HitchReader(text, into).read(Nesting::kFile);
}

}  // namespace headgate
