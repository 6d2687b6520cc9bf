#include "config/names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <span>

#include "base/ascii.h"
#include "base/hex.h"
#include "base/secret_text.h"
#include "config/nearest.h"
#include "net/private_link.h"
#include "net/service_records.h"

namespace headgate::config {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::string_view kHexPrefix = "hex:";
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kDigits = "0123456789";
constexpr std::size_t kLongestHostName = 253;  // RFC 1035 section 2.3.4, without the root's dot
constexpr std::size_t kLongestHostLabel = 63;
constexpr std::size_t kLongestLabel = 128;
constexpr std::size_t kLongestAlpn = 255;
constexpr std::size_t kFingerprintDigits = 64;
constexpr std::size_t kLongestTrustDomain = 255;  // SPIFFE ID, section 2.3

tl::unexpected<Error> invalid(std::string_view text, std::string_view what) {
  return fail(ErrorKind::kInvalid, quote(text).append(what));
}

bool made_of(std::string_view text, std::string_view more) {
  return std::all_of(text.begin(), text.end(), [more](char c) {
    return kLetters.find(c) != kLetters.npos || kDigits.find(c) != kDigits.npos || more.find(c) != more.npos;
  });
}

/// Letters, digits, hyphens and (as the world has them) underscores, in labels; a final dot is allowed.
bool is_host_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > kLongestHostName) return false;
  for (;;) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (label.empty() || label.size() > kLongestHostLabel || !made_of(label, "-_")) return false;
    if (dot == name.npos) return true;
    name.remove_prefix(dot + 1);
  }
}

/// A unix socket's address with its path in `directory`; abstract names are in no directory.
std::string resolved_unix(std::string_view text, const std::string& directory) {
  const std::string_view path = text.substr(kUnixPrefix.size());
  return path.starts_with('@') ? std::string(text) : std::string(kUnixPrefix) + resolved(path, directory);
}

std::optional<std::string> bytes_of_hex(std::string_view digits) {
  if (digits.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t at = 0; at < digits.size(); at += 2) {
    std::uint8_t byte = 0;
    const char* end = digits.data() + at + 2;
    const auto [stopped, error] = std::from_chars(digits.data() + at, end, byte, 16);
    if (error != std::errc{} || stopped != end) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

bool is_port(std::string_view digits) {
  return parse_integer(digits, 1, 65535).has_value();
}

bool is_colon_list(std::string_view text) {
  return text.find(':') != text.npos;
}

}  // namespace

Result<Address> BindAddress::parse(std::string_view text, const std::string& directory) const {
  return Address::parse(text.starts_with(kUnixPrefix) ? resolved_unix(text, directory) : std::string(text));
}

Result<std::optional<Address>> AdminBind::parse(std::string_view text, const std::string& directory) const {
  if (without_boolean_synonyms(text) == "off") return std::optional<Address>{};
  return BindAddress{}.parse(text, directory).map([](const Address& address) {
    return std::optional(address);
  });
}

Result<std::string> ServerAddress::parse(std::string_view text, const std::string& directory) const {
  if (text.starts_with(kUnixPrefix)) {
    const std::string resolved_text = resolved_unix(text, directory);
    return Address::parse(resolved_text).map([&](const Address&) { return resolved_text; });
  }
  if (text == kOriginal) return std::string(text);
  const std::size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  const std::string_view service = text.substr(std::min(text.size(), kServicePrefix.size()));
  if (text.starts_with(kServicePrefix) && !is_port(service)) {
    if (is_host_name(service)) return std::string(text);
    return invalid(text, R"( is not a service; write "srv:_postgresql._tcp.example.com", without a port)");
  }
  if (colon == text.npos || !is_port(text.substr(colon + 1)) || host.empty()) {
    return invalid(text,
                   R"( is not a server; write "host:port", "[2001:db8::1]:8080" or "unix:/run/app.sock")");
  }
  if (is_host_name(host)) return std::string(text);
  return Address::parse(text).map([&](const Address&) { return std::string(text); });
}

Result<std::string> WireBytes::parse(std::string_view text, const std::string&) const {
  std::string bytes(text);
  if (text.starts_with(kHexPrefix)) {
    const auto decoded = bytes_of_hex(text.substr(kHexPrefix.size()));
    if (!decoded) return invalid(text, R"( is not hexadecimal; write two digits for each byte, "hex:0d0a")");
    bytes = *decoded;
  }
  if (bytes.size() > kMaxBytes) return fail(ErrorKind::kInvalid, "is longer than 1024 bytes");
  return bytes;
}

std::string WireBytes::text(const std::string& value) const {
  const bool readable = std::ranges::all_of(
      value, [](char c) { return (c >= ' ' && c <= '~') || c == '\r' || c == '\n' || c == '\t'; });
  if (readable && !value.starts_with(kHexPrefix)) return value;
  return std::string(kHexPrefix) + hex_of(std::as_bytes(std::span(value)));
}

Result<std::optional<std::uint32_t>> FileMode::parse(std::string_view text, const std::string&) const {
  if (text.empty()) return std::optional<std::uint32_t>();
  std::uint32_t mode = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, mode, 8);
  const bool octal = error == std::errc{} && stopped == end && (text.size() == 3 || text.size() == 4);
  if (octal && mode <= 0777U) return std::optional(mode);
  return fail(ErrorKind::kInvalid,
              quote(text) + " is not the mode of a file; write it in octal, like \"0660\"");
}

std::string FileMode::text(const std::optional<std::uint32_t>& value) const {
  std::string digits;
  if (!value) return digits;
  for (const int shift : {9, 6, 3, 0}) digits += static_cast<char>('0' + (*value >> shift & 7U));
  return digits;
}

Result<int> WorkerCount::parse(std::string_view text, const std::string& directory) const {
  if (text == "auto") return 0;
  const auto count = Number<int>{1, 1024}.parse(text, directory);
  if (!count)
    return fail(ErrorKind::kInvalid,
                quote(text) + R"( is not a number of workers; write "auto" or 1 to 1024)");
  return *count;
}

Result<std::string> IncludePath::parse(std::string_view text, const std::string& directory) const {
  if (text.empty()) return fail(ErrorKind::kInvalid, "needs the path of a file or of a directory");
  if (text.find('*') != text.npos)
    return invalid(text, " is a pattern; write the directory alone, of which every *.yaml is read");
  return parse_path(text, directory);
}

Result<CpuRange> CpuRangeText::parse(std::string_view text, const std::string& directory) const {
  const Number<int> number{0, kLastCpu};
  const std::size_t dash = text.find('-');
  const auto first = number.parse(text.substr(0, dash), directory);
  const auto last = dash == text.npos ? first : number.parse(text.substr(dash + 1), directory);
  if (first && last && *first <= *last)
    return CpuRange{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
  return fail(ErrorKind::kInvalid, quote(text) + R"( is not a CPU; write a number from 0 to )" +
                                       std::to_string(kLastCpu) + R"(, or "0-3" for several)");
}

Result<std::string> OneWordOf::parse(std::string_view text, const std::string&) const {
  if (std::find(words.begin(), words.end(), text) != words.end()) return std::string(text);
  return not_one_of(text, form().words);
}

Result<std::string> check_label(std::string_view text) {
  if (text.empty()) return fail(ErrorKind::kInvalid, "a name cannot be empty");
  if (resembles_key(text)) return invalid(text, " cannot be a name, since logs and metrics show names");
  if (text.size() > kLongestLabel) return invalid(text, " is too long for a name; at most 128 bytes");
  if (!made_of(text, "._-:/@[]")) {
    return invalid(text, " cannot be a name; use letters, digits and any of . _ - : / @ [ ]");
  }
  return std::string(text);
}

Result<std::string> check_optional_label(std::string_view text) {
  return text.empty() ? std::string{} : check_label(text);
}

Result<std::string> check_name_pattern(std::string_view text) {
  const std::string_view name = text.starts_with("*.") ? text.substr(2) : text;
  if (is_host_name(name)) return std::string(text);
  const bool beyond_ascii = std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
  if (beyond_ascii)
    return invalid(text,
                   R"( has characters beyond ASCII; write the name in its "xn--" form, as clients send it)");
  return invalid(text, R"( is not a name; write "api.example.com" or "*.example.com")");
}

Result<std::string> check_route_pattern(std::string_view text) {
  return text == "*" ? Result<std::string>(text) : check_name_pattern(text);
}

Result<std::string> check_host_pattern(std::string_view text) {
  if (Address::from_ip(text, 0)) return std::string(text);
  const bool has_more = text.find_first_of(":/[") != text.npos;
  if (has_more)
    return invalid(text, R"( is not a host; write the name or the address alone: no "http://", no port)");
  return check_name_pattern(text);
}

Result<std::string> check_alpn(std::string_view text) {
  if (text.starts_with('$'))
    return invalid(text, R"( means the client's protocol, in a backend's tls only; write "h2")");
  if (text.empty() || text.size() > kLongestAlpn)
    return invalid(text, " is not an ALPN name; they have 1 to 255 bytes");
  return std::string(text);
}

Result<std::string> check_backend_alpn(std::string_view text) {
  if (text == "$alpn") return std::string(text);
  if (text.starts_with('$'))
    return invalid(text, R"( has no meaning; "$alpn" passes the client's protocol on)");
  return check_alpn(text);
}

Result<std::string> check_server_name(std::string_view text) {
  if (text.empty() || text == "$sni" || is_host_name(text) || Address::from_ip(text, 0))
    return std::string(text);
  if (text.starts_with('$')) return invalid(text, R"( has no meaning; "$sni" passes the client's name on)");
  return invalid(text, R"( is not a name; write "app.internal", or "$sni" for the client's)");
}

Result<std::string> check_source(std::string_view text) {
  if (text.empty() || text == kClientSource) return std::string(text);
  const auto address = Address::from_ip(text, 0);
  if (address) return address->unmapped().host_text();
  return invalid(text,
                 R"( is not an IP address without a port; write "192.0.2.7", or "client" for the client's)");
}

Result<std::string> check_vpc_endpoint(std::string_view text) {
  if (is_vpc_endpoint(text)) return std::string(text);
  return invalid(text, R"( is not the id of a VPC endpoint; write it like "vpce-0123456789abcdef0")");
}

/// A number as std::to_string() writes it.
template <class Number>
Result<std::string> check_link_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size() && std::to_string(number) == text)
    return std::string(text);
  return invalid(text, " is not a number from 0 to " + std::to_string(std::numeric_limits<Number>::max()));
}

Result<std::string> check_link_number_32(std::string_view text) {
  return check_link_number<std::uint32_t>(text);
}

Result<std::string> check_link_number_64(std::string_view text) {
  return check_link_number<std::uint64_t>(text);
}

bool is_trust_domain(std::string_view text) {
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  return !text.empty() && text.size() <= kLongestTrustDomain && made_of(text, "._-") &&
         std::ranges::none_of(text, is_upper) && text != "." && text != "..";
}

Result<std::string> check_trust_domain(std::string_view text) {
  if (is_trust_domain(text)) return std::string(text);
  return invalid(text,
                 R"( is not a trust domain; write "prod.example", in lower case and without "spiffe://")");
}

Result<std::string> check_spiffe_pattern(std::string_view text) {
  constexpr std::string_view scheme = "spiffe://";
  const bool has_domain =
      text.starts_with(scheme) && text.size() > scheme.size() && text[scheme.size()] != '/';
  if (!has_domain)
    return invalid(text, R"( is not a SPIFFE ID; write "spiffe://trust-domain/path", * allowed)");
  return std::string(text);
}

Result<std::string> check_glob(std::string_view text) {
  if (text.empty()) return fail(ErrorKind::kInvalid, "an empty pattern matches no client; leave it out");
  return std::string(text);
}

Result<std::string> check_subject_name(std::string_view text) {
  if (text.empty()) return fail(ErrorKind::kInvalid, "an empty name matches no client; leave it out");
  return std::string(text);
}

Result<std::string> check_fingerprint(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ':') digits += ascii_lower(c);
  }
  if (digits.size() == kFingerprintDigits && digits.find_first_not_of("0123456789abcdef") == digits.npos) {
    return digits;
  }
  return invalid(text,
                 " is not a SHA-256 fingerprint; write its 64 hexadecimal digits, with or without colons");
}

Result<std::string> check_group(std::string_view text) {
  if (!text.empty() && made_of(text, "_-.")) return std::string(text);
  return invalid(text, R"( is not a group; write a name like "X25519" or "P-256")");
}

Result<std::string> check_cipher_suite(std::string_view text) {
  static constexpr std::array<std::string_view, 5> kSuites{
      "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
      "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"};
  if (std::find(kSuites.begin(), kSuites.end(), text) != kSuites.end()) return std::string(text);
  if (!text.starts_with("TLS_")) {
    return invalid(text, R"( is not a TLS 1.3 cipher suite; those of TLS 1.2 belong in "ciphers")");
  }
  return not_one_of(text, {kSuites.begin(), kSuites.end()});
}

Result<std::string> check_ciphers(std::string_view text) {
  if (!made_of(text, ":+!-@=._,"))
    return invalid(text, R"( is not an OpenSSL cipher list; write one like "ECDHE+AESGCM")");
  if (text.starts_with("TLS_") && !is_colon_list(text)) {
    return invalid(text, R"( is a TLS 1.3 suite; those belong in "cipher_suites")");
  }
  return std::string(text);
}

Result<std::uint8_t> SharePercent::parse(std::string_view text, const std::string&) const {
  if (text.empty()) return std::uint8_t{0};
  if (text.ends_with('%')) {
    const auto percent = parse_integer(text.substr(0, text.size() - 1), 1, 99);
    if (percent) return static_cast<std::uint8_t>(*percent);
  }
  return fail(ErrorKind::kInvalid, quote(text) + R"( is not a share; write "1%" to "99%")");
}

const std::vector<std::string>& known_groups() {
  static const std::vector<std::string> kGroups{"X25519MLKEM768",
                                                "SecP256r1MLKEM768",
                                                "SecP384r1MLKEM1024",
                                                "X448MLKEM1024",
                                                "MLKEM512",
                                                "MLKEM768",
                                                "MLKEM1024",
                                                "X25519",
                                                "X448",
                                                "P-256",
                                                "P-384",
                                                "P-521",
                                                "prime256v1",
                                                "secp256r1",
                                                "secp384r1",
                                                "secp521r1",
                                                "brainpoolP256r1",
                                                "brainpoolP384r1",
                                                "brainpoolP512r1",
                                                "brainpoolP256r1tls13",
                                                "brainpoolP384r1tls13",
                                                "brainpoolP512r1tls13",
                                                "ffdhe2048",
                                                "ffdhe3072",
                                                "ffdhe4096",
                                                "ffdhe6144",
                                                "ffdhe8192"};
  return kGroups;
}

}  // namespace headgate::config
