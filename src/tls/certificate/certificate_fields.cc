#include "tls/certificate/certificate_fields.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/ascii.h"
#include "tls/certificate/der.h"
#include "tls/octets.h"

namespace headgate {
namespace {

using Oid = std::string_view;
using namespace std::string_view_literals;

constexpr Oid kEcPublicKey = "\x2a\x86\x48\xce\x3d\x02\x01"sv;
constexpr Oid kRsaEncryption = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"sv;
constexpr Oid kCommonName = "\x55\x04\x03"sv;
constexpr Oid kSubjectKeyId = "\x55\x1d\x0e"sv;
constexpr Oid kSubjectAltName = "\x55\x1d\x11"sv;
constexpr Oid kBasicConstraints = "\x55\x1d\x13"sv;
constexpr Oid kAuthorityKeyId = "\x55\x1d\x23"sv;
constexpr Oid kKeyUsage = "\x55\x1d\x0f"sv;
constexpr Oid kExtendedKeyUsage = "\x55\x1d\x25"sv;
constexpr Oid kAnyExtendedKeyUsage = "\x55\x1d\x25\x00"sv;
constexpr Oid kServerAuth = "\x2b\x06\x01\x05\x05\x07\x03\x01"sv;
constexpr Oid kClientAuth = "\x2b\x06\x01\x05\x05\x07\x03\x02"sv;
constexpr Oid kAuthorityInfoAccess = "\x2b\x06\x01\x05\x05\x07\x01\x01"sv;
constexpr Oid kCaIssuers = "\x2b\x06\x01\x05\x05\x07\x30\x02"sv;

struct KnownKey {
  Oid algorithm;
  Oid curve;  // empty: the algorithm alone says it
  KeyType type;
  std::uint16_t bits;  // 0: the key's length says it
};
constexpr std::array<KnownKey, 10> kKnownKeys{{
    {kEcPublicKey, "\x2a\x86\x48\xce\x3d\x03\x01\x07"sv, KeyType::kP256, 256},
    {kEcPublicKey, "\x2b\x81\x04\x00\x22"sv, KeyType::kP384, 384},
    {kEcPublicKey, "\x2b\x81\x04\x00\x23"sv, KeyType::kP521, 521},
    {kRsaEncryption, {}, KeyType::kRsa, 0},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"sv, {}, KeyType::kRsaPss, 0},
    {"\x2b\x65\x70"sv, {}, KeyType::kEd25519, 256},
    {"\x2b\x65\x71"sv, {}, KeyType::kEd448, 456},
    {"\x60\x86\x48\x01\x65\x03\x04\x03\x11"sv, {}, KeyType::kMlDsa44, 128},
    {"\x60\x86\x48\x01\x65\x03\x04\x03\x12"sv, {}, KeyType::kMlDsa65, 192},
    {"\x60\x86\x48\x01\x65\x03\x04\x03\x13"sv, {}, KeyType::kMlDsa87, 256},
}};

constexpr std::array<Oid, 4> kWeakSignatures{
    "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"sv,  // md5WithRSAEncryption
    "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"sv,  // sha1WithRSAEncryption
    "\x2b\x0e\x03\x02\x1d"sv,                  // sha1WithRSA of OIW
    "\x2a\x86\x48\xce\x3d\x04\x01"sv,          // ecdsa-with-SHA1
};
constexpr Oid kRsaPss = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"sv;
constexpr std::array<Oid, 2> kWeakDigests{
    "\x2a\x86\x48\x86\xf7\x0d\x02\x05"sv,  // MD5
    "\x2b\x0e\x03\x02\x1a"sv,              // SHA-1
};

/// The parameters of RSASSA-PSS, RFC 4055, section 3.1: the digest is the first, and SHA-1 if it is left out.
bool has_weak_pss_digest(DerReader& after_algorithm) {
  const auto parameters = after_algorithm.next(kDerSequence);
  if (!parameters) return true;
  const auto tagged = DerReader(parameters->content).next(der_context(0));
  if (!tagged) return true;
  const auto digest = DerReader(tagged->content).next(kDerSequence);
  const auto name = digest ? DerReader(digest->content).next(kDerOid) : std::nullopt;
  return !name || std::ranges::find(kWeakDigests, text_of(name->content)) != kWeakDigests.end();
}

std::optional<int> digits(std::string_view text, std::size_t from, std::size_t count) {
  int value = 0;
  for (const char c : text.substr(from, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

/// UTCTime "YYMMDDHHMMSSZ" or GeneralizedTime "YYYYMMDDHHMMSSZ". RFC 5280, section 4.1.2.5.
std::optional<WallTime> read_time(DerReader& reader) {
  const auto value = reader.next();
  if (!value) return std::nullopt;
  const std::string_view text = text_of(value->content);
  const bool utc = value->tag == kDerUtcTime;
  if (!utc && value->tag != kDerGeneralizedTime) return std::nullopt;
  const std::size_t year_digits = utc ? 2 : 4;
  if (text.size() != year_digits + 11 || text.back() != 'Z') return std::nullopt;
  auto year = digits(text, 0, year_digits);
  std::array<int, 5> rest{};  // month, day, hour, minute, second
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const auto part = digits(text, year_digits + 2 * i, 2);
    if (!part) return std::nullopt;
    rest[i] = *part;
  }
  if (!year) return std::nullopt;
  if (utc) *year += *year < 50 ? 2000 : 1900;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(rest[0])),
                                         std::chrono::day(static_cast<unsigned>(rest[1]))};
  if (!date.ok() || rest[2] > 23 || rest[3] > 59 || rest[4] > 60) return std::nullopt;
  const auto seconds = std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(rest[2]) +
                       std::chrono::minutes(rest[3]) + std::chrono::seconds(rest[4]);
  // The clock's nanoseconds end in 2262; certificates "without an end" say 9999 (RFC 5280, section 4.1.2.5).
  constexpr auto kLast = std::chrono::floor<std::chrono::seconds>(WallTime::max().time_since_epoch());
  return WallTime(std::min<std::chrono::seconds>(seconds, kLast));
}

std::string read_common_name(std::span<const std::byte> name_content) {
  std::string found;
  DerReader parts(name_content);
  while (const auto part = parts.next(kDerSet)) {
    DerReader attributes(part->content);
    while (const auto attribute = attributes.next(kDerSequence)) {
      DerReader fields(attribute->content);
      const auto type = fields.next(kDerOid);
      const auto value = fields.next();
      if (type && value && text_of(type->content) == kCommonName) found = text_of(value->content);
    }
  }
  return found;
}

/// The number of significant bits of an unsigned INTEGER's content.
std::size_t bit_length(std::span<const std::byte> integer) {
  while (!integer.empty() && integer.front() == std::byte{0}) integer = integer.subspan(1);
  if (integer.empty()) return 0;
  std::size_t bits = (integer.size() - 1) * 8;
  for (unsigned top = std::to_integer<unsigned>(integer.front()); top != 0; top >>= 1) ++bits;
  return bits;
}

/// The modulus in an RSAPublicKey. RFC 8017, appendix A.1.1.
std::optional<std::span<const std::byte>> rsa_modulus(std::span<const std::byte> rsa_public_key) {
  const auto sequence = DerReader(rsa_public_key).next(kDerSequence);
  if (!sequence) return std::nullopt;
  const auto modulus = DerReader(sequence->content).next(kDerInteger);
  if (!modulus) return std::nullopt;
  return modulus->content;
}

const KnownKey* known_key(std::span<const std::byte> algorithm_content) {
  DerReader reader(algorithm_content);
  const auto algorithm = reader.next(kDerOid);
  if (!algorithm) return nullptr;
  const auto curve = reader.next(kDerOid);
  for (const KnownKey& known : kKnownKeys) {
    if (known.algorithm != text_of(algorithm->content)) continue;
    if (known.curve.empty() || (curve && known.curve == text_of(curve->content))) return &known;
  }
  return nullptr;
}

bool read_public_key(const DerValue& info, CertificateFields& fields) {
  DerReader reader(info.content);
  const auto algorithm = reader.next(kDerSequence);
  const auto bits = reader.next(kDerBitString);
  if (!algorithm || !bits || bits->content.empty()) return false;
  const KnownKey* known = known_key(algorithm->content);
  if (known == nullptr) return false;
  fields.public_key = info.whole;
  fields.public_key_bits = bits->content.subspan(1);  // after the count of unused bits
  fields.key_type = known->type;
  fields.key_bits = known->bits;
  if (known->bits != 0) return true;
  const auto modulus = rsa_modulus(fields.public_key_bits);
  if (!modulus) return false;
  fields.key_bits = static_cast<std::uint16_t>(std::min<std::size_t>(bit_length(*modulus), 0xffff));
  return true;
}

std::string address_text(std::span<const std::byte> address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = address.size() == 4 ? AF_INET : AF_INET6;
  if (address.size() != 4 && address.size() != 16) return {};
  return inet_ntop(family, address.data(), text.data(), text.size()) == nullptr ? "" : text.data();
}

/// GeneralNames, RFC 5280, section 4.2.1.6: [2] dNSName, [7] iPAddress.
void read_names(std::span<const std::byte> value, CertificateFields& fields) {
  const auto sequence = DerReader(value).next(kDerSequence);
  if (!sequence) return;
  DerReader names(sequence->content);
  while (const auto name = names.next()) {
    std::string text;
    if (name->tag == der_context_primitive(2)) text = ascii_lower(text_of(name->content));
    if (name->tag == der_context_primitive(7)) text = address_text(name->content);
    if (text.empty() || text.find('\0') != std::string::npos) continue;
    fields.has_san = true;
    fields.names.push_back(std::move(text));
  }
}

void read_extended_key_usage(std::span<const std::byte> value, CertificateFields& fields) {
  const auto sequence = DerReader(value).next(kDerSequence);
  fields.has_extended_key_usage = true;
  fields.for_servers = fields.for_clients = false;
  if (!sequence) return;
  DerReader purposes(sequence->content);
  while (const auto purpose = purposes.next(kDerOid)) {
    const std::string_view oid = text_of(purpose->content);
    const bool any = oid == kAnyExtendedKeyUsage;
    fields.for_servers = fields.for_servers || any || oid == kServerAuth;
    fields.for_clients = fields.for_clients || any || oid == kClientAuth;
  }
}

/// KeyUsage, RFC 5280, section 4.2.1.3: the first bit is digitalSignature. A BIT STRING begins with the
/// number of bits that are not used.
void read_key_usage(std::span<const std::byte> value, CertificateFields& fields) {
  constexpr std::uint8_t kDigitalSignature = 0x80;
  const auto bits = DerReader(value).next(kDerBitString);
  fields.for_signatures = bits && bits->content.size() > 1 &&
                          (std::to_integer<std::uint8_t>(bits->content[1]) & kDigitalSignature) != 0;
}

void read_basic_constraints(std::span<const std::byte> value, CertificateFields& fields) {
  const auto sequence = DerReader(value).next(kDerSequence);
  if (!sequence) return;
  const auto ca = DerReader(sequence->content).next(kDerBoolean);
  fields.is_ca = ca && ca->content.size() == 1 && ca->content[0] != std::byte{0};
}

void read_authority_key_id(std::span<const std::byte> value, CertificateFields& fields) {
  const auto sequence = DerReader(value).next(kDerSequence);
  if (!sequence) return;
  if (const auto id = DerReader(sequence->content).next(der_context_primitive(0)))
    fields.authority_key_id = id->content;
}

void read_authority_info_access(std::span<const std::byte> value, CertificateFields& fields) {
  const auto sequence = DerReader(value).next(kDerSequence);
  if (!sequence) return;
  DerReader descriptions(sequence->content);
  while (const auto description = descriptions.next(kDerSequence)) {
    const auto method = DerReader(description->content).next(kDerOid);
    if (method && text_of(method->content) == kCaIssuers) fields.names_issuer_url = true;
  }
}

void read_extension(const DerValue& extension, CertificateFields& fields) {
  DerReader reader(extension.content);
  const auto id = reader.next(kDerOid);
  static_cast<void>(reader.next(kDerBoolean));  // critical
  const auto value = reader.next(kDerOctetString);
  if (!id || !value) return;
  const std::string_view oid = text_of(id->content);
  if (oid == kSubjectAltName) read_names(value->content, fields);
  if (oid == kKeyUsage) read_key_usage(value->content, fields);
  if (oid == kExtendedKeyUsage) read_extended_key_usage(value->content, fields);
  if (oid == kBasicConstraints) read_basic_constraints(value->content, fields);
  if (oid == kAuthorityKeyId) read_authority_key_id(value->content, fields);
  if (oid == kAuthorityInfoAccess) read_authority_info_access(value->content, fields);
  if (oid != kSubjectKeyId) return;
  if (const auto key_id = DerReader(value->content).next(kDerOctetString))
    fields.subject_key_id = key_id->content;
}

void read_extensions(DerReader& after_public_key, CertificateFields& fields) {
  while (const auto optional_part = after_public_key.next()) {
    if (optional_part->tag != der_context(3)) continue;  // the unique identifiers, which are not used
    const auto sequence = DerReader(optional_part->content).next(kDerSequence);
    if (!sequence) return;
    DerReader extensions(sequence->content);
    while (const auto extension = extensions.next(kDerSequence)) read_extension(*extension, fields);
  }
}

Result<void> read_validity(const DerValue& validity, CertificateFields& fields) {
  DerReader reader(validity.content);
  const auto not_before = read_time(reader);
  const auto not_after = read_time(reader);
  if (!not_before || !not_after) return fail(ErrorKind::kMalformed, "its validity cannot be read");
  fields.not_before = *not_before;
  fields.not_after = *not_after;
  return {};
}

/// TBSCertificate, RFC 5280, section 4.1.
Result<CertificateFields> read_body(const DerValue& body) {
  const auto malformed = fail(ErrorKind::kMalformed, "it is not a certificate");
  CertificateFields fields;
  DerReader reader(body.content);
  static_cast<void>(reader.next(der_context(0)));  // version
  const auto serial = reader.next(kDerInteger);
  const auto signature = reader.next(kDerSequence);
  const auto issuer = reader.next(kDerSequence);
  const auto validity = reader.next(kDerSequence);
  const auto subject = reader.next(kDerSequence);
  const auto key_info = reader.next(kDerSequence);
  if (!serial || !signature || !issuer || !validity || !subject || !key_info) return malformed;

  if (!DerReader(signature->content).next(kDerOid)) return malformed;
  fields.weak_digest = is_weak_signature(signature->content);
  fields.serial = serial->content;
  fields.issuer = issuer->whole;
  fields.subject = subject->whole;
  fields.common_name = read_common_name(subject->content);
  if (auto read = read_validity(*validity, fields); !read) return tl::unexpected(read.error());
  fields.has_known_key = read_public_key(*key_info, fields);
  read_extensions(reader, fields);
  if (fields.names.empty() && !fields.common_name.empty() &&
      fields.common_name.find('\0') == std::string::npos) {
    fields.names.push_back(ascii_lower(fields.common_name));
  }
  return fields;
}

/// Compares the modulus of an RSAPrivateKey. RFC 8017, appendix A.1.2.
KeyMatch compare_rsa(std::span<const std::byte> rsa_private_key, const CertificateFields& certificate) {
  const auto sequence = DerReader(rsa_private_key).next(kDerSequence);
  if (!sequence) return KeyMatch::kUnknown;
  DerReader reader(sequence->content);
  const auto version = reader.next(kDerInteger);
  const auto modulus = reader.next(kDerInteger);
  if (!version || !modulus) return KeyMatch::kUnknown;
  if (!is_rsa(certificate.key_type)) return KeyMatch::kNo;
  const auto expected = rsa_modulus(certificate.public_key_bits);
  return expected && std::ranges::equal(*expected, modulus->content) ? KeyMatch::kYes : KeyMatch::kNo;
}

/// Compares the public key in an ECPrivateKey, which may lack it. RFC 5915, section 3.
KeyMatch compare_ec(std::span<const std::byte> ec_private_key, const CertificateFields& certificate) {
  const auto sequence = DerReader(ec_private_key).next(kDerSequence);
  if (!sequence) return KeyMatch::kUnknown;
  DerReader reader(sequence->content);
  static_cast<void>(reader.next(kDerInteger));      // version
  static_cast<void>(reader.next(kDerOctetString));  // the private key
  static_cast<void>(reader.next(der_context(0)));   // parameters
  const auto tagged = reader.next(der_context(1));
  if (!tagged) return KeyMatch::kUnknown;
  const auto bits = DerReader(tagged->content).next(kDerBitString);
  if (!bits || bits->content.empty()) return KeyMatch::kUnknown;
  return std::ranges::equal(bits->content.subspan(1), certificate.public_key_bits) ? KeyMatch::kYes
                                                                                   : KeyMatch::kNo;
}

}  // namespace

std::string_view name(KeyType type) {
  constexpr std::array<std::string_view, 10> kNames{"ECDSA P-256", "Ed25519",   "ECDSA P-384", "ECDSA P-521",
                                                    "Ed448",       "ML-DSA-44", "ML-DSA-65",   "ML-DSA-87",
                                                    "RSA",         "RSA-PSS"};
  return kNames[static_cast<std::size_t>(type)];
}

bool CertificateFields::self_issued() const {
  return std::ranges::equal(issuer, subject);
}

bool is_weak_signature(std::span<const std::byte> algorithm) {
  DerReader reader(algorithm);
  const auto name = reader.next(kDerOid);
  if (!name) return true;
  const std::string_view oid = text_of(name->content);
  if (oid == kRsaPss) return has_weak_pss_digest(reader);
  return std::ranges::find(kWeakSignatures, oid) != kWeakSignatures.end();
}

Result<CertificateFields> read_certificate(std::span<const std::byte> der) {
  const auto certificate = DerReader(der).next(kDerSequence);
  if (!certificate) return fail(ErrorKind::kMalformed, "it is not a certificate");
  const auto body = DerReader(certificate->content).next(kDerSequence);
  if (!body) return fail(ErrorKind::kMalformed, "it is not a certificate");
  return read_body(*body);
}

std::string issuer_common_name(std::span<const std::byte> der) {
  const auto certificate = DerReader(der).next(kDerSequence);
  const auto body = certificate ? DerReader(certificate->content).next(kDerSequence) : std::nullopt;
  if (!body) return {};
  DerReader reader(body->content);
  static_cast<void>(reader.next(der_context(0)));  // version
  static_cast<void>(reader.next(kDerInteger));     // serial number
  static_cast<void>(reader.next(kDerSequence));    // signature algorithm
  const auto issuer = reader.next(kDerSequence);
  return issuer ? read_common_name(issuer->content) : std::string();
}

bool issued_by(const CertificateFields& certificate, const CertificateFields& issuer) {
  if (!std::ranges::equal(certificate.issuer, issuer.subject)) return false;
  const bool both_have_ids = !certificate.authority_key_id.empty() && !issuer.subject_key_id.empty();
  return !both_have_ids || std::ranges::equal(certificate.authority_key_id, issuer.subject_key_id);
}

KeyMatch compare_key(std::span<const std::byte> key_der, const CertificateFields& certificate) {
  const auto sequence = DerReader(key_der).next(kDerSequence);
  if (!sequence) return KeyMatch::kUnknown;
  DerReader reader(sequence->content);
  const auto version = reader.next(kDerInteger);
  if (!version) return KeyMatch::kUnknown;
  if (reader.peek() == kDerInteger) return compare_rsa(key_der, certificate);
  if (reader.peek() == kDerOctetString) return compare_ec(key_der, certificate);
  const auto algorithm = reader.next(kDerSequence);  // PKCS#8, RFC 5958, section 2
  const auto key = reader.next(kDerOctetString);
  if (!algorithm || !key) return KeyMatch::kUnknown;
  const auto kind = DerReader(algorithm->content).next(kDerOid);
  if (kind && text_of(kind->content) == kRsaEncryption) return compare_rsa(key->content, certificate);
  if (kind && text_of(kind->content) == kEcPublicKey) return compare_ec(key->content, certificate);
  return KeyMatch::kUnknown;
}

}  // namespace headgate
