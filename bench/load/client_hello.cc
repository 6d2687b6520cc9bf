#include "client_hello.h"

#include <vector>

namespace headgate::bench {
namespace {

/// Code points of RFC 8446 and of the registry of TLS extensions.
enum Extension : std::uint16_t {
  kServerName = 0,
  kSupportedGroups = 10,
  kPointFormats = 11,
  kSignatureAlgorithms = 13,
  kPadding = 21,
  kSessionTicket = 35,
  kPreSharedKey = 41,
  kSupportedVersions = 43,
  kPskModes = 45,
  kKeyShare = 51,
};
constexpr std::uint16_t kX25519 = 29, kSecp521r1 = 25;
constexpr std::size_t kTicketBytes = 208, kBinderBytes = 32;

std::string number(std::size_t value, std::size_t size_bytes) {
  std::string bytes(size_bytes, '\0');
  for (std::size_t i = size_bytes; i-- > 0; value >>= 8) bytes[i] = static_cast<char>(value & 0xff);
  return bytes;
}

/// `content` behind its length, which takes `size_bytes`.
std::string vector_of(std::size_t size_bytes, const std::string& content) {
  return number(content.size(), size_bytes) + content;
}

std::string list_of(const std::vector<std::uint16_t>& values) {
  std::string content;
  for (const std::uint16_t value : values) content += number(value, 2);
  return vector_of(2, content);
}

std::string extension(Extension type, const std::string& content) {
  return number(type, 2) + vector_of(2, content);
}

std::string random_bytes(std::size_t count, std::mt19937_64& random) {
  std::string bytes(count, '\0');
  for (char& each : bytes) each = static_cast<char>(random());
  return bytes;
}

std::vector<std::uint16_t> codes(Signatures signatures) {
  constexpr std::uint16_t kRsaPss = 0x0804, kRsaPkcs1 = 0x0401, kEcdsa = 0x0403;
  if (signatures == Signatures::kRsa) return {kRsaPss, kRsaPkcs1};
  if (signatures == Signatures::kEcdsa) return {kEcdsa};
  return {kEcdsa, kRsaPss, kRsaPkcs1};
}

}  // namespace

ClientHello::ClientHello(const Options& options, std::mt19937_64& random)
    : kind_(options.kind),
      signatures_(options.signatures),
      name_(options.name),
      random_(random_bytes(32, random)),
      session_id_(random_bytes(32, random)),
      share_(random_bytes(32, random)),
      ticket_(random_bytes(kTicketBytes, random)),
      binder_(random_bytes(kBinderBytes, random)) {}

std::string ClientHello::in_record(const std::string& message) {
  return "\x16\x03\x01" + vector_of(2, message);
}

std::string ClientHello::message(bool with_share, std::size_t padding_bytes) const {
  const std::vector<std::uint16_t> suites =
      is_tls12() ? std::vector<std::uint16_t>{0xc02b, 0xc02f} : std::vector<std::uint16_t>{0x1301};
  const std::string no_compression("\x01\x00", 2);
  return "\x01" + vector_of(3, "\x03\x03" + random_ + vector_of(1, session_id_) + list_of(suites) +
                                   no_compression + vector_of(2, extensions(with_share, padding_bytes)));
}

std::string ClientHello::extensions(bool with_share, std::size_t padding_bytes) const {
  const std::string host = std::string(1, '\0') + vector_of(2, name_);
  std::string all = extension(kServerName, vector_of(2, host)) +
                    extension(kSupportedGroups, list_of({kSecp521r1, kX25519})) +
                    extension(kSignatureAlgorithms, list_of(codes(signatures_)));
  if (is_tls12()) {
    const std::string uncompressed(1, '\0');
    return all + extension(kPointFormats, vector_of(1, uncompressed)) + extension(kSessionTicket, ticket_);
  }
  const std::string share = with_share ? number(kX25519, 2) + vector_of(2, share_) : "";
  all += extension(kSupportedVersions, "\x02\x03\x04") + extension(kKeyShare, vector_of(2, share));
  if (padding_bytes > 0) all += extension(kPadding, std::string(padding_bytes, '\0'));
  if (kind_ == FloodKind::kPsk) all += garbage_psk();
  return all;
}

/// The modes and, last of all extensions, an identity and a binder. RFC 8446, section 4.2.11.
std::string ClientHello::garbage_psk() const {
  const std::string age(4, '\x55');
  const std::string with_dhe("\x01\x01", 2);
  return extension(kPskModes, with_dhe) + extension(kPreSharedKey, vector_of(2, vector_of(2, ticket_) + age) +
                                                                       vector_of(2, vector_of(1, binder_)));
}

}  // namespace headgate::bench
