#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>

namespace headgate {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr int kMappedPrefixBits = 96;  // ::ffff:0:0/96 holds IPv4, RFC 4291 section 2.5.5.2
constexpr std::uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::string quote(std::string_view text) {
  return '"' + std::string(text) + '"';
}

template <class Number>
std::optional<Number> parse_number(std::string_view digits) {
  Number number{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

/// inet_pton() for text that may hold a NUL, which ends no address.
bool ip_from_text(int family, std::string_view text, void* bytes) {
  return text.find('\0') == text.npos && inet_pton(family, std::string(text).c_str(), bytes) == 1;
}

template <class Sockaddr>
Sockaddr view_as(const sockaddr* address) {
  Sockaddr copy;
  std::memcpy(&copy, address, sizeof copy);
  return copy;
}

template <class Sockaddr>
Address address_of(const Sockaddr& socket) {
  sockaddr_storage storage{};
  std::memcpy(&storage, &socket, sizeof socket);
  return Address::from_socket(storage, sizeof socket);
}

bool is_mapped(const std::uint8_t* bytes) {
  return std::equal(kMappedPrefix, kMappedPrefix + 12, bytes);
}

/// The 16 bytes of an address, IPv4 as IPv4-mapped IPv6; false for what is neither.
bool ip_bytes(const Address& address, std::span<std::uint8_t, 16> bytes) {
  if (address.family() == AF_INET6) {
    const auto socket = view_as<sockaddr_in6>(address.data());
    std::memcpy(bytes.data(), &socket.sin6_addr, 16);
    return true;
  }
  if (address.family() != AF_INET) return false;
  const auto socket = view_as<sockaddr_in>(address.data());
  std::copy(kMappedPrefix, kMappedPrefix + 12, bytes.data());
  std::memcpy(bytes.data() + 12, &socket.sin_addr, 4);
  return true;
}

std::string ip_text(const std::uint8_t* bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  if (is_mapped(bytes)) {
    inet_ntop(AF_INET, bytes + 12, text, sizeof text);
  } else {
    inet_ntop(AF_INET6, bytes, text, sizeof text);
  }
  return text;
}

/// The path as parse() takes it: an abstract name begins with '@' in place of its NUL.
std::string unix_path(const sockaddr* address, socklen_t size_bytes) {
  const auto socket = view_as<sockaddr_un>(address);
  constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);
  if (size_bytes <= path_offset) return {};
  const std::size_t length = std::min<std::size_t>(size_bytes - path_offset, sizeof socket.sun_path);
  if (socket.sun_path[0] != '\0') return {socket.sun_path, strnlen(socket.sun_path, length)};
  return '@' + std::string(socket.sun_path + 1, length - 1);
}

Result<Address> parse_unix(std::string_view path) {
  sockaddr_un socket{};
  if (path.empty() || path == "@") {
    return fail(ErrorKind::kInvalid, R"(a unix socket needs a path: "unix:/run/headgate.sock")");
  }
  if (path.find('\0') != path.npos)
    return fail(ErrorKind::kInvalid, "a unix socket's path cannot hold a NUL");
  constexpr std::size_t longest = sizeof socket.sun_path - 1;
  if (path.size() > longest) {
    return fail(ErrorKind::kInvalid, "the path of a unix socket has at most " + std::to_string(longest) +
                                         " bytes, this one has " + std::to_string(path.size()));
  }
  socket.sun_family = AF_UNIX;
  path.copy(socket.sun_path, path.size());
  const bool abstract = path.front() == '@';
  if (abstract) socket.sun_path[0] = '\0';
  sockaddr_storage storage{};
  std::memcpy(&storage, &socket, sizeof socket);
  // The length of an abstract name counts, so it ends with its last byte; a path ends with its NUL.
  const std::size_t size = offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1);
  return Address::from_socket(storage, static_cast<socklen_t>(size));
}

std::optional<std::uint32_t> scope_of(std::string_view zone) {
  if (auto number = parse_number<std::uint32_t>(zone)) return number;
  if (zone.find('\0') != zone.npos) return std::nullopt;
  const unsigned index = if_nametoindex(std::string(zone).c_str());
  return index == 0 ? std::nullopt : std::optional<std::uint32_t>(index);
}

Result<Address> parse_ipv6(std::string_view ip, std::uint16_t port) {
  sockaddr_in6 socket{};
  socket.sin6_family = AF_INET6;
  socket.sin6_port = htons(port);
  const std::size_t percent = ip.find('%');
  if (!ip_from_text(AF_INET6, ip.substr(0, percent), &socket.sin6_addr)) {
    return fail(ErrorKind::kInvalid, quote(ip) + " is not an IPv6 address");
  }
  if (percent != ip.npos) {
    const auto scope = scope_of(ip.substr(percent + 1));
    if (!scope)
      return fail(ErrorKind::kInvalid, quote(ip) + " names an interface that this machine does not have");
    socket.sin6_scope_id = *scope;
  }
  return address_of(socket);
}

Result<std::uint16_t> parse_port(std::string_view text, std::string_view digits) {
  if (const auto port = parse_number<std::uint16_t>(digits)) return *port;
  return fail(ErrorKind::kInvalid, quote(text) + " needs a port from 0 to 65535 after its last colon");
}

/// The network's address with every bit behind the prefix cleared.
void clear_host_bits(std::span<std::uint8_t, 16> bytes, int prefix_bits) {
  for (int byte = 0; byte < 16; ++byte) {
    const int kept = std::clamp(prefix_bits - byte * 8, 0, 8);
    bytes[static_cast<std::size_t>(byte)] &= static_cast<std::uint8_t>(0xff00 >> kept);
  }
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return parse_unix(text.substr(kUnixPrefix.size()));
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) {
    return fail(ErrorKind::kInvalid, quote(text) + R"( has no port; write "127.0.0.1:8443", "[::1]:8443", )"
                                                   R"(":8443" or "unix:/run/headgate.sock")");
  }
  const std::string_view host = text.substr(0, colon);
  if (host.find(':') != host.npos && !host.starts_with('[')) {
    return fail(ErrorKind::kInvalid,
                quote(text) + R"( is ambiguous; write an IPv6 address in brackets: "[::1]:8443")");
  }
  const auto port = parse_port(text, text.substr(colon + 1));
  if (!port) return tl::unexpected(port.error());
  if (host.empty()) return parse_ipv6("::", *port);
  if (!host.starts_with('[')) return from_ip(host, *port);
  if (!host.ends_with(']'))
    return fail(ErrorKind::kInvalid, quote(text) + " has a bracket that is not closed");
  return parse_ipv6(host.substr(1, host.size() - 2), *port);
}

Address Address::loopback(std::uint16_t port) {
  sockaddr_in socket{};
  socket.sin_family = AF_INET;
  socket.sin_port = htons(port);
  socket.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address_of(socket);
}

Address Address::from_socket(const sockaddr_storage& storage, socklen_t size_bytes) {
  Address address;
  // The kernel reports the full length even of a name it had to cut.
  address.size_bytes_ = std::min<socklen_t>(size_bytes, sizeof storage);
  std::memcpy(&address.storage_, &storage, address.size_bytes_);
  return address;
}

Result<Address> Address::from_ip(std::string_view ip, std::uint16_t port) {
  if (ip.find(':') != ip.npos) return parse_ipv6(ip, port);
  sockaddr_in socket{};
  socket.sin_family = AF_INET;
  socket.sin_port = htons(port);
  if (!ip_from_text(AF_INET, ip, &socket.sin_addr)) {
    return fail(ErrorKind::kInvalid, quote(ip) + " is not an IP address; a name is not allowed here");
  }
  return address_of(socket);
}

bool Address::is_loopback() const {
  if (family() == AF_INET)
    return ntohl(view_as<sockaddr_in>(data()).sin_addr.s_addr) >> 24U == IN_LOOPBACKNET;
  if (family() != AF_INET6) return false;
  const in6_addr host = view_as<sockaddr_in6>(data()).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&host);
}

std::uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(view_as<sockaddr_in>(data()).sin_port);
  if (family() == AF_INET6) return ntohs(view_as<sockaddr_in6>(data()).sin6_port);
  return 0;
}

void Address::set_port(std::uint16_t port) {
  // The port stands at the same place in both families (RFC 3493 section 3.3 keeps it there).
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  if (family() != AF_INET && family() != AF_INET6) return;
  const std::uint16_t wire = htons(port);
  std::memcpy(reinterpret_cast<char*>(&storage_) + offsetof(sockaddr_in, sin_port), &wire, sizeof wire);
}

std::string Address::text() const {
  if (is_unix()) return std::string(kUnixPrefix) + unix_path(data(), size_bytes_);
  const std::string host = host_text();
  const std::string port_text = ':' + std::to_string(port());
  return host.find(':') == host.npos ? host + port_text : '[' + host + ']' + port_text;
}

Address Address::unmapped() const {
  std::uint8_t bytes[16];
  if (family() != AF_INET6 || !ip_bytes(*this, bytes) || !is_mapped(bytes)) return *this;
  sockaddr_in socket{};
  socket.sin_family = AF_INET;
  socket.sin_port = htons(port());
  std::memcpy(&socket.sin_addr, bytes + 12, sizeof socket.sin_addr);
  return address_of(socket);
}

bool Address::is_every_ipv6() const {
  return family() == AF_INET6 && host_text() == "::";
}

std::string Address::host_text() const {
  if (is_unix()) return "unix";
  std::uint8_t bytes[16];
  if (!ip_bytes(*this, bytes)) return "unknown";
  if (family() == AF_INET) return ip_text(bytes);
  const std::uint32_t scope = view_as<sockaddr_in6>(data()).sin6_scope_id;
  return scope == 0 ? ip_text(bytes) : ip_text(bytes) + '%' + std::to_string(scope);
}

bool Address::operator==(const Address& other) const {
  if (family() != other.family()) return false;
  if (is_unix()) return unix_path(data(), size_bytes_) == unix_path(other.data(), other.size_bytes_);
  std::uint8_t mine[16];
  std::uint8_t theirs[16];
  if (!ip_bytes(*this, mine) || !ip_bytes(other, theirs)) return true;  // neither is set
  if (port() != other.port() || !std::equal(mine, mine + 16, theirs)) return false;
  return family() == AF_INET ||
         view_as<sockaddr_in6>(data()).sin6_scope_id == view_as<sockaddr_in6>(other.data()).sin6_scope_id;
}

Result<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = Address::from_ip(text.substr(0, slash), 0);
  if (!address) {
    return fail(
        ErrorKind::kInvalid,
        quote(text) + R"( is not a network; write "10.0.0.0/8", "2001:db8::/32" or a single address)");
  }
  const bool ipv4 = address->family() == AF_INET;
  const int longest = ipv4 ? 32 : 128;
  const auto prefix = slash == text.npos ? longest : parse_number<int>(text.substr(slash + 1)).value_or(-1);
  if (prefix < 0 || prefix > longest) {
    return fail(ErrorKind::kInvalid,
                quote(text) + " needs a prefix from 0 to " + std::to_string(longest) + " after the slash");
  }
  Network network;
  network.prefix_bits_ = ipv4 ? kMappedPrefixBits + prefix : prefix;
  std::uint8_t whole[16] = {};
  ip_bytes(*address, whole);
  std::copy(whole, whole + 16, network.bytes_);
  clear_host_bits(network.bytes_, network.prefix_bits_);
  if (!std::equal(whole, whole + 16, network.bytes_)) {
    return fail(ErrorKind::kInvalid,
                quote(text) + " has bits set after its prefix; write " + quote(network.text()));
  }
  return network;
}

bool Network::contains(const Address& address) const {
  std::uint8_t bytes[16];
  if (!ip_bytes(address, bytes)) return false;
  // ::/0 and the like hold IPv6 alone, though IPv4 is kept mapped into it.
  if (prefix_bits_ < kMappedPrefixBits && is_mapped(bytes)) return false;
  clear_host_bits(bytes, prefix_bits_);
  return std::equal(bytes, bytes + 16, bytes_);
}

std::string Network::text() const {
  const bool ipv4 = prefix_bits_ >= kMappedPrefixBits && is_mapped(bytes_);
  char address[INET6_ADDRSTRLEN] = {};
  inet_ntop(ipv4 ? AF_INET : AF_INET6, ipv4 ? bytes_ + 12 : bytes_, address, sizeof address);
  return std::string(address) + '/' + std::to_string(ipv4 ? prefix_bits_ - kMappedPrefixBits : prefix_bits_);
}

}  // namespace headgate
