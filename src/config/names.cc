#include "config/names.h"

#include <algorithm>
#include <array>

#include "config/nearest.h"

namespace headgate::config {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kDigits = "0123456789";
constexpr std::size_t kLongestHostName = 253;  // RFC 1035 section 2.3.4, without the root's dot
constexpr std::size_t kLongestHostLabel = 63;
constexpr std::size_t kLongestLabel = 128;
constexpr std::size_t kLongestAlpn = 255;
constexpr std::size_t kFingerprintDigits = 64;

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
  const std::size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  if (colon == text.npos || !is_port(text.substr(colon + 1)) || host.empty()) {
    return invalid(text,
                   R"( is not a server; write "host:port", "[2001:db8::1]:8080" or "unix:/run/app.sock")");
  }
  if (is_host_name(host)) return std::string(text);
  return Address::parse(text).map([&](const Address&) { return std::string(text); });
}

Result<int> WorkerCount::parse(std::string_view text, const std::string& directory) const {
  if (text == "auto") return 0;
  const auto count = Number<int>{1, 1024}.parse(text, directory);
  if (!count)
    return fail(ErrorKind::kInvalid,
                quote(text) + R"( is not a number of workers; write "auto" or 1 to 1024)");
  return *count;
}

Result<std::string> OneWordOf::parse(std::string_view text, const std::string&) const {
  if (text == first || text == second) return std::string(text);
  return not_one_of(text, form().words);
}

Result<std::string> check_label(std::string_view text) {
  if (text.empty()) return fail(ErrorKind::kInvalid, "a name cannot be empty");
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
    if (c != ':') digits += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
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
