#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/import.h"
#include "config/config.h"
#include "net/address.h"

/// Reads what other programs write in another way than Headgate. Pure; any thread.
namespace headgate {

[[nodiscard]] std::string_view trimmed(std::string_view text);
/// The parts of `text` between any of `separators`, none empty.
[[nodiscard]] std::vector<std::string> parts_of(std::string_view text, std::string_view separators);
[[nodiscard]] std::optional<std::uint32_t> number_of(std::string_view text);
/// "on", "yes", "y", "true", "t", and their opposites, in any case; nullopt for every other text.
[[nodiscard]] std::optional<bool> switch_of(std::string_view text);

/// "90s", "1m30s", "500ms"; a number alone is seconds. At most ten years.
[[nodiscard]] std::optional<std::chrono::milliseconds> time_of(std::string_view text);

/// A line of a file, from 1.
struct TextLine {
  int number = 0;
  std::string_view text;  ///< Trimmed.
};
[[nodiscard]] std::vector<TextLine> lines_of(std::string_view text);

/// What a port without a host, or with "*", means in the original.
enum class AnyAddress { kIpv4, kIpv4AndIpv6 };
/// A place to bind: "443", "*:443", "[*]:443", ":::443", "[::1]:443", "192.0.2.1:443", "localhost:443",
/// "/run/x.sock". Errors: kInvalid for a host name, and for text that is not an address.
[[nodiscard]] Result<Address> bind_of(std::string_view text, AnyAddress any);
/// A server, in the same forms; a port alone means localhost.
[[nodiscard]] std::string server_of(std::string_view text);
/// `text` as a name that logs and metrics can have.
[[nodiscard]] std::string label_of(std::string_view text);
/// `path` as it is if it is absolute, else below `directory`. An empty `path` stays empty.
[[nodiscard]] std::string path_below(const std::string& directory, const std::string& path);
/// The network of "10.1.2.3/8", without the bits behind the prefix, or of an address.
[[nodiscard]] std::optional<Network> network_of(std::string_view text);
/// "X25519:prime256v1" as a list, with the names of Headgate's documentation.
[[nodiscard]] std::vector<std::string> groups_of(std::string_view text);

/// A version of TLS as a number: 13 for TLS 1.3; versions below TLS 1.0 are below 10.
using TlsNumber = int;
/// "SSLv3", "TLSv1", "TLSv1.2", "tlsv12", "TLSv1_2", in any case; nullopt for the others.
[[nodiscard]] std::optional<TlsNumber> tls_number_of(std::string_view text);

/// The versions that the original allows, of those that Headgate speaks.
class TlsVersions {
 public:
  void at_least(TlsNumber version) { only_if(version <= 12, version <= 13); }
  void at_most(TlsNumber version) { only_if(version >= 12, version >= 13); }
  void exactly(TlsNumber version) { only_if(version == 12, version == 13); }
  void without(TlsNumber version) { only_if(version != 12, version != 13); }
  void only_if(bool tls12, bool tls13) {
    tls12_ = tls12_ && tls12;
    tls13_ = tls13_ && tls13;
  }
  /// Whether Headgate speaks one of them.
  [[nodiscard]] bool any() const { return tls12_ || tls13_; }
  /// Leaves those that `other` allows too.
  void also(const TlsVersions& other) { only_if(other.tls12_, other.tls13_); }
  bool operator==(const TlsVersions&) const = default;
  /// Sets the range of `tls`; without any version the narrowest range.
  void apply(config::Tls& tls) const;

 private:
  bool tls12_ = true;
  bool tls13_ = true;
};

/// The stricter of two modes: required is above optional, and optional above none.
[[nodiscard]] config::ClientAuthMode stricter(config::ClientAuthMode one, config::ClientAuthMode other);

/// Binds `listener` to `text` as well, or says why not.
void add_bind(Imported& into, config::Listener& listener, std::string_view text, AnyAddress any, int line);

/// Takes no IPv4 at "[::]:443", where the original takes IPv6 alone.
void keep_to_ipv6(std::span<config::Bind> binds);

}  // namespace headgate
