#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/import.h"
#include "config/config.h"
#include "net/address.h"

/// Reads what hitch, stunnel and HAProxy write in another way than Headgate. Pure; any thread.
namespace headgate {

[[nodiscard]] std::string_view trimmed(std::string_view text);
[[nodiscard]] std::string lower_case(std::string_view text);
/// The parts of `text` between any of `separators`, none empty.
[[nodiscard]] std::vector<std::string> parts_of(std::string_view text, std::string_view separators);
[[nodiscard]] std::optional<std::uint32_t> number_of(std::string_view text);
/// "on", "yes", "true".
[[nodiscard]] bool is_yes(std::string_view text);

/// A line of a file, from 1.
struct TextLine {
  int number = 0;
  std::string_view text;  ///< Trimmed.
};
[[nodiscard]] std::vector<TextLine> lines_of(std::string_view text);

/// A place to bind: "443", "*:443", "[*]:443", ":::443", "[::1]:443", "192.0.2.1:443", "localhost:443",
/// "/run/x.sock". Errors: kInvalid for a host name, and for text that is not an address.
[[nodiscard]] Result<Address> bind_of(std::string_view text);
/// A server, in the same forms; a port alone means localhost.
[[nodiscard]] std::string server_of(std::string_view text);
/// `text` as a name that logs and metrics can have.
[[nodiscard]] std::string label_of(std::string_view text);
/// "TLSv1.2", "TLSv1.3" in any case; nullopt for the others.
[[nodiscard]] std::optional<config::TlsVersion> tls_version_of(std::string_view text);
/// "X25519:prime256v1" as a list, with the names of Headgate's documentation.
[[nodiscard]] std::vector<std::string> groups_of(std::string_view text);

/// Binds `listener` to `text` as well, or notes why not.
void add_bind(Imported& into, config::Listener& listener, std::string_view text, int line);
/// Sets the range of the versions in `words`, and notes those that Headgate does not have.
void set_versions(Imported& into, config::Tls& tls, const std::vector<std::string>& words, int line);

}  // namespace headgate
