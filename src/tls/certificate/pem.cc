#include "tls/certificate/pem.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "tls/certificate/der.h"

namespace headgate {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";
constexpr std::string_view kCertificate = "CERTIFICATE";
constexpr std::string_view kTrustedCertificate = "TRUSTED CERTIFICATE";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::uint8_t kNotBase64 = 0xff;

constexpr std::array<std::uint8_t, 256> make_base64_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNotBase64);
  std::uint8_t next = 0;
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")) {
    values[static_cast<unsigned char>(c)] = next++;
  }
  return values;
}
constexpr std::array<std::uint8_t, 256> kBase64Values = make_base64_values();

/// The lines of a text, without their ends and the blanks before them.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t newline = rest_.find('\n');
    line = rest_.substr(0, newline);
    rest_ = newline == std::string_view::npos ? std::string_view() : rest_.substr(newline + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
      line.remove_suffix(1);
    ++number_;
    return true;
  }
  [[nodiscard]] std::size_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

/// Decodes base64 that comes in pieces of any length. RFC 4648, section 4.
class Base64Decoder {
 public:
  explicit Base64Decoder(SecretBytes& out) : out_(out) {}

  [[nodiscard]] bool add(std::string_view piece) {
    for (const char c : piece) {
      if (!add(c)) return false;
    }
    return true;
  }
  /// Whether what was added is complete: padded to a multiple of four characters.
  [[nodiscard]] bool complete() const { return (characters_ + padding_) % 4 == 0; }

 private:
  [[nodiscard]] bool add(char c) {
    if (c == '=') return ++padding_ <= 2;
    const std::uint8_t value = kBase64Values[static_cast<unsigned char>(c)];
    if (value == kNotBase64 || padding_ > 0) return false;
    bits_ = bits_ << 6 | value;
    ++characters_;
    const std::size_t position = characters_ % 4;
    if (position == 1) return true;
    const unsigned shift = position == 2 ? 4 : position == 3 ? 2 : 0;
    out_.push_back(static_cast<std::byte>(bits_ >> shift & 0xff));
    return true;
  }

  SecretBytes& out_;
  std::uint32_t bits_ = 0;
  std::size_t characters_ = 0;
  std::size_t padding_ = 0;
};

/// The label when `line` is "`prefix`label-----", else an empty view.
std::string_view label_in(std::string_view line, std::string_view prefix) {
  if (!line.starts_with(prefix) || !line.ends_with(kDashes)) return {};
  if (line.size() < prefix.size() + kDashes.size()) return {};
  return line.substr(prefix.size(), line.size() - prefix.size() - kDashes.size());
}

tl::unexpected<Error> fail_at(std::size_t line, const std::string& what) {
  return fail(ErrorKind::kMalformed, "line " + std::to_string(line) + ": " + what);
}

/// Makes an ordinary certificate of the form that `openssl x509 -trustout` writes.
void divide_trusted_certificate(PemBlock& block) {
  if (block.label != kTrustedCertificate) return;
  block.label = kCertificate;
  const auto certificate = DerReader(block.der).next(kDerSequence);
  if (!certificate) return;  // the reader of the certificate says so
  const auto end = block.der.begin() + static_cast<std::ptrdiff_t>(certificate->whole.size());
  block.trust_settings.assign(end, block.der.end());
  block.der.erase(end, block.der.end());
}

/// A label in words of capitals, like "EC PRIVATE KEY". A block whose line breaks are lost is one line that
/// begins and ends as a BEGIN line does, and its key would be the label.
bool is_label(std::string_view label) {
  constexpr std::size_t kLongestLabel = 40;
  return label.size() <= kLongestLabel && std::ranges::all_of(label, [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '.' || c == '#';
         });
}

/// What is wrong with a line that begins as a BEGIN line. No message has a part of the line in it.
std::string fault_of_begin(std::string_view line) {
  const std::size_t dashes = line.find(kDashes, kBegin.size());
  if (dashes == std::string_view::npos)
    return "a BEGIN line that does not end in five dashes: the file is damaged";
  if (dashes + kDashes.size() == line.size())
    return "a BEGIN line whose label is not in words of capitals: the file is damaged";
  return "the line breaks are lost: a PEM block has its BEGIN, its base64 and its END on lines of their own";
}

/// Reads on after a BEGIN line, up to its END.
Result<void> read_body(Lines& lines, PemBlock& block) {
  Base64Decoder decoder(block.der);
  std::string_view line;
  while (lines.next(line)) {
    if (line.starts_with(kEnd)) {
      if (label_in(line, kEnd) != block.label) {
        return fail_at(lines.number(), "the END of another block than the BEGIN " + std::string(block.label) +
                                           " of line " + std::to_string(block.line));
      }
      if (!block.encrypted && !decoder.complete()) {
        return fail_at(lines.number(),
                       "the block " + std::string(block.label) + " ends in the middle of its base64");
      }
      return {};
    }
    if (line.starts_with(kBegin)) break;
    if (line.find(':') != std::string_view::npos) {
      block.encrypted = block.encrypted || line.find("ENCRYPTED") != std::string_view::npos;
      continue;
    }
    if (!block.encrypted && !decoder.add(line)) return fail_at(lines.number(), "not base64");
  }
  return fail_at(block.line,
                 "the block " + std::string(block.label) + " has no END line: the file is truncated");
}

/// Whether a line between two blocks is the BEGIN or END of one whose other line is damaged, or that is
/// indented. To pass over it would lose a certificate, or a whole revocation list, without a word.
bool is_stray_boundary(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return line.starts_with(kBegin) || line.starts_with(kEnd);
}

}  // namespace

Result<std::vector<PemBlock>> parse_pem(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::vector<PemBlock> blocks;
  Lines lines(text);
  std::string_view line;
  while (lines.next(line)) {
    if (!line.starts_with(kBegin)) {
      if (!is_stray_boundary(line)) continue;
      return fail_at(lines.number(),
                     "the BEGIN or END line of a block that is indented, or whose other line is damaged");
    }
    PemBlock block;
    block.label = label_in(line, kBegin);
    block.line = lines.number();
    if (block.label.empty() || !is_label(block.label)) return fail_at(block.line, fault_of_begin(line));
    if (auto read = read_body(lines, block); !read) return tl::unexpected(read.error());
    divide_trusted_certificate(block);
    blocks.push_back(std::move(block));
  }
  return blocks;
}

}  // namespace headgate
