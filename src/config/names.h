#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/notation.h"
#include "net/address.h"

/// Notations of addresses, name patterns, TLS groups and the like. notation.h says what a notation is.
namespace headgate::config {

/// A notation for text that must have a certain form.
struct CheckedText {
  std::string_view kind;
  Result<std::string> (*check)(std::string_view text);

  [[nodiscard]] Result<std::string> parse(std::string_view text, const std::string&) const {
    return check(text);
  }
  [[nodiscard]] std::string text(const std::string& value) const { return value; }
  [[nodiscard]] Form form() const { return {.kind = kind}; }
};

/// "[::]:8443", ":8443", "unix:PATH" (relative to the directory), "unix:@ABSTRACT".
struct BindAddress {
  [[nodiscard]] Result<Address> parse(std::string_view text, const std::string& directory) const;
  [[nodiscard]] std::string text(const Address& value) const { return value.text(); }
  [[nodiscard]] Form form() const { return {.kind = "bind_address"}; }
};

/// A BindAddress or "off".
struct AdminBind {
  [[nodiscard]] Result<std::optional<Address>> parse(std::string_view text,
                                                     const std::string& directory) const;
  [[nodiscard]] std::string text(const std::optional<Address>& value) const {
    return value ? value->text() : "off";
  }
  [[nodiscard]] Form form() const { return {.kind = "admin_bind"}; }
};

/// "host:port" with a name or an address, or "unix:PATH" (relative to the directory).
struct ServerAddress {
  [[nodiscard]] Result<std::string> parse(std::string_view text, const std::string& directory) const;
  [[nodiscard]] std::string text(const std::string& value) const { return value; }
  [[nodiscard]] Form form() const { return {.kind = "server_address"}; }
};

struct NetworkText {
  [[nodiscard]] Result<Network> parse(std::string_view text, const std::string&) const {
    return Network::parse(text);
  }
  [[nodiscard]] std::string text(const Network& value) const { return value.text(); }
  [[nodiscard]] Form form() const { return {.kind = "network"}; }
};

/// "auto" (0) or a number of threads.
struct WorkerCount {
  [[nodiscard]] Result<int> parse(std::string_view text, const std::string&) const;
  [[nodiscard]] std::string text(int value) const { return value == 0 ? "auto" : std::to_string(value); }
  [[nodiscard]] Form form() const { return {.kind = "workers", .quoted = false}; }
};

/// "5%", from 1% to 99%; empty for none, which is 0.
struct SharePercent {
  [[nodiscard]] Result<std::uint8_t> parse(std::string_view text, const std::string&) const;
  [[nodiscard]] std::string text(std::uint8_t value) const {
    return value == 0 ? "" : std::to_string(value) + "%";
  }
  [[nodiscard]] Form form() const { return {.kind = "share"}; }
};

/// A word of `words`, kept as text.
struct OneWordOf {
  std::string_view first;
  std::string_view second;

  [[nodiscard]] Result<std::string> parse(std::string_view text, const std::string&) const;
  [[nodiscard]] std::string text(const std::string& value) const { return value; }
  [[nodiscard]] Form form() const {
    return {.kind = "word", .words = {std::string(first), std::string(second)}};
  }
};

[[nodiscard]] Result<std::string> check_label(std::string_view text);
[[nodiscard]] Result<std::string> check_optional_label(std::string_view text);
[[nodiscard]] Result<std::string> check_name_pattern(std::string_view text);
[[nodiscard]] Result<std::string> check_alpn(std::string_view text);
[[nodiscard]] Result<std::string> check_backend_alpn(std::string_view text);
[[nodiscard]] Result<std::string> check_server_name(std::string_view text);
[[nodiscard]] Result<std::string> check_spiffe_pattern(std::string_view text);
[[nodiscard]] Result<std::string> check_glob(std::string_view text);
[[nodiscard]] Result<std::string> check_subject_name(std::string_view text);
[[nodiscard]] Result<std::string> check_fingerprint(std::string_view text);
[[nodiscard]] Result<std::string> check_group(std::string_view text);
[[nodiscard]] Result<std::string> check_cipher_suite(std::string_view text);
[[nodiscard]] Result<std::string> check_ciphers(std::string_view text);

/// A name that metrics and logs show: letters, digits and "._-:/@[]".
inline constexpr CheckedText kLabel{"label", check_label};
/// The same, or empty for none.
inline constexpr CheckedText kOptionalLabel{"optional_label", check_optional_label};
/// "api.example.com" or "*.example.com", where "*" stands for exactly one label (RFC 9525 section 6.3).
inline constexpr CheckedText kNamePattern{"name_pattern", check_name_pattern};
/// 1 to 255 bytes (RFC 7301 section 3.1).
inline constexpr CheckedText kAlpn{"alpn", check_alpn};
/// An ALPN name, or "$alpn" for the client's.
inline constexpr CheckedText kBackendAlpn{"backend_alpn", check_backend_alpn};
/// A host name, an address, or "$sni" for the client's.
inline constexpr CheckedText kServerName{"server_name", check_server_name};
/// "spiffe://trust-domain/path", globs allowed.
inline constexpr CheckedText kSpiffePattern{"spiffe_pattern", check_spiffe_pattern};
inline constexpr CheckedText kGlob{"glob", check_glob};
/// A part of a certificate's subject, which is compared whole.
inline constexpr CheckedText kSubjectName{"subject_name", check_subject_name};
/// SHA-256 in hexadecimal, colons allowed; kept in lower case without them.
inline constexpr CheckedText kFingerprint{"fingerprint", check_fingerprint};
inline constexpr CheckedText kGroup{"group", check_group};
/// A cipher suite of TLS 1.3 by its IANA name (RFC 8446 appendix B.4).
inline constexpr CheckedText kCipherSuite{"cipher_suite", check_cipher_suite};
/// OpenSSL's list of TLS 1.2 ciphers.
inline constexpr CheckedText kCiphers{"ciphers", check_ciphers};

/// The key agreement groups that some version of OpenSSL has. A provider may have others.
[[nodiscard]] const std::vector<std::string>& known_groups();

}  // namespace headgate::config
