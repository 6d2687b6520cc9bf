#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
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
  /// Empty for no address.
  [[nodiscard]] std::string text(const Address& value) const {
    return value == Address() ? std::string() : value.text();
  }
  [[nodiscard]] Form form() const { return {.kind = "bind_address"}; }
};

/// The permissions of a file as `chmod` takes them: "0660". Empty for none given.
struct FileMode {
  [[nodiscard]] Result<std::optional<std::uint32_t>> parse(std::string_view text, const std::string&) const;
  [[nodiscard]] std::string text(const std::optional<std::uint32_t>& value) const;
  [[nodiscard]] Form form() const { return {.kind = "file_mode"}; }
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

/// "host:port" with a name or an address, "unix:PATH" (relative to the directory), "srv:NAME" of a service,
/// or "original".
struct ServerAddress {
  [[nodiscard]] Result<std::string> parse(std::string_view text, const std::string& directory) const;
  [[nodiscard]] std::string text(const std::string& value) const { return value; }
  [[nodiscard]] Form form() const { return {.kind = "server_address"}; }
};

/// Bytes of a protocol: as text ("PING\r\n" in YAML's double quotes), or "hex:" and their digits where they
/// are no text. At most kMaxBytes.
struct WireBytes {
  static constexpr std::size_t kMaxBytes = 1024;
  static constexpr bool kTakesVariables = false;  // a password may be among them, and `explain` shows them

  [[nodiscard]] Result<std::string> parse(std::string_view text, const std::string&) const;
  [[nodiscard]] std::string text(const std::string& value) const;
  [[nodiscard]] Form form() const { return {.kind = "wire_bytes"}; }
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

/// A file or a directory of files that belong to the configuration. No pattern, and no variable is put in.
struct IncludePath {
  [[nodiscard]] Result<std::string> parse(std::string_view text, const std::string& directory) const;
  [[nodiscard]] std::string text(const std::string& value) const { return value; }
  [[nodiscard]] Form form() const { return {.kind = "include_path"}; }
};

/// "5", or "0-3" for all from the first to the last.
struct CpuRangeText {
  [[nodiscard]] Result<CpuRange> parse(std::string_view text, const std::string&) const;
  [[nodiscard]] std::string text(const CpuRange& value) const {
    const std::string first = std::to_string(value.first);
    return value.first == value.last ? first : first + '-' + std::to_string(value.last);
  }
  [[nodiscard]] Form form() const { return {.kind = "cpu_range"}; }
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
  std::array<std::string_view, 3> words;

  [[nodiscard]] Result<std::string> parse(std::string_view text, const std::string&) const;
  [[nodiscard]] std::string text(const std::string& value) const { return value; }
  [[nodiscard]] Form form() const { return {.kind = "word", .words = {words.begin(), words.end()}}; }
};

[[nodiscard]] Result<std::string> check_label(std::string_view text);
[[nodiscard]] Result<std::string> check_optional_label(std::string_view text);
[[nodiscard]] Result<std::string> check_name_pattern(std::string_view text);
[[nodiscard]] Result<std::string> check_route_pattern(std::string_view text);
[[nodiscard]] Result<std::string> check_host_pattern(std::string_view text);
[[nodiscard]] Result<std::string> check_alpn(std::string_view text);
[[nodiscard]] Result<std::string> check_backend_alpn(std::string_view text);
[[nodiscard]] Result<std::string> check_server_name(std::string_view text);
[[nodiscard]] Result<std::string> check_source(std::string_view text);
[[nodiscard]] Result<std::string> check_spiffe_pattern(std::string_view text);
[[nodiscard]] Result<std::string> check_vpc_endpoint(std::string_view text);
[[nodiscard]] Result<std::string> check_link_number_32(std::string_view text);
[[nodiscard]] Result<std::string> check_link_number_64(std::string_view text);
[[nodiscard]] Result<std::string> check_trust_domain(std::string_view text);
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
/// A kNamePattern, or "*" alone for every client.
inline constexpr CheckedText kRoutePattern{"route_pattern", check_route_pattern};
/// A kNamePattern or an IP address, without a port.
inline constexpr CheckedText kHostPattern{"host_pattern", check_host_pattern};
/// 1 to 255 bytes (RFC 7301 section 3.1).
inline constexpr CheckedText kAlpn{"alpn", check_alpn};
/// An ALPN name, or "$alpn" for the client's.
inline constexpr CheckedText kBackendAlpn{"backend_alpn", check_backend_alpn};
/// A host name, an address, or "$sni" for the client's.
inline constexpr CheckedText kServerName{"server_name", check_server_name};
/// An IP address without a port, "client" for the client's, or empty.
inline constexpr CheckedText kSourceAddress{"source_address", check_source};
/// The id of a VPC endpoint of AWS: "vpce-0123456789abcdef0".
inline constexpr CheckedText kVpcEndpoint{"vpc_endpoint", check_vpc_endpoint};
/// A number of 32 or 64 bits that names something, kept as text.
inline constexpr CheckedText kLinkNumber32{"link_number_32", check_link_number_32};
inline constexpr CheckedText kLinkNumber64{"link_number_64", check_link_number_64};
/// The name of a SPIFFE trust domain, without "spiffe://".
inline constexpr CheckedText kTrustDomain{"trust_domain", check_trust_domain};
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

/// Whether `text` is the name of a SPIFFE trust domain: 1 to 255 of a-z, 0-9, '.', '-' and '_', and not dots
/// alone. SPIFFE ID, section 2.1.
[[nodiscard]] bool is_trust_domain(std::string_view text);

/// The key agreement groups that some version of OpenSSL has. A provider may have others.
[[nodiscard]] const std::vector<std::string>& known_groups();

}  // namespace headgate::config
