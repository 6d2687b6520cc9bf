#include "tls/peer/peer_identity.h"

#include <algorithm>
#include <string_view>

#include <openssl/sha.h>

#include "base/ascii.h"
#include "base/hex.h"
#include "config/names.h"
#include "tls/library/asn1_time.h"
#include "tls/library/openssl_call.h"

namespace headgate {
namespace {

constexpr std::string_view kSpiffeScheme = "spiffe://";
// SPIFFE ID, section 2.3.
constexpr std::size_t kMaxSpiffeBytes = 2048;

/// The bytes of a string that a certificate holds; empty when they could mislead: with a zero or a control
/// character.
std::string honest_text(std::string_view text) {
  const bool honest =
      std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return honest ? std::string(text) : std::string();
}

std::string utf8_of(const ASN1_STRING* string) {
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, string);
  const OctetsPtr owned(utf8);
  if (size < 0) return {};
  return honest_text({reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size)});
}

std::string raw_text_of(const ASN1_STRING* string) {
  return honest_text({reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                      static_cast<std::size_t>(ASN1_STRING_length(string))});
}

/// The values in their order; one that could mislead is empty.
std::vector<std::string> entries(const X509_NAME* name, int nid) {
  std::vector<std::string> found;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
    found.push_back(utf8_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))));
  }
  return found;
}

/// Reads the names that could not mislead. Returns the number of all URIs, the misleading ones too.
std::size_t read_alternative_names(X509* leaf, PeerIdentity& identity) {
  std::size_t uris = 0;
  const GeneralNamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < static_cast<int>(sk_GENERAL_NAME_num(names.get())); ++i) {
    int type = -1;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    if (type != GEN_URI && type != GEN_DNS) continue;
    if (type == GEN_URI) ++uris;
    std::string text = raw_text_of(value);
    if (text.empty()) continue;
    if (type == GEN_URI) {
      identity.uris.push_back(std::move(text));
    } else {
      identity.dns.push_back(ascii_lower(text));
    }
  }
  return uris;
}

/// Whether the certificate may identify a workload: it is no CA, and its key signs handshakes, but neither
/// certificates nor lists. X509-SVID, sections 4.3 and 5.2. A certificate without a key usage may sign.
bool may_identify_workload(X509* leaf) {
  constexpr std::uint32_t kSigner = KU_KEY_CERT_SIGN | KU_CRL_SIGN;
  const std::uint32_t flags = X509_get_extension_flags(leaf);
  if ((flags & (EXFLAG_CA | EXFLAG_INVALID)) != 0) return false;
  if ((flags & EXFLAG_KUSAGE) == 0) return true;
  const std::uint32_t usage = X509_get_key_usage(leaf);
  return (usage & KU_DIGITAL_SIGNATURE) != 0 && (usage & kSigner) == 0;
}

bool is_spiffe_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
         c == '_';
}

bool is_spiffe_segment(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." &&
         std::ranges::all_of(segment, is_spiffe_character);
}

/// SPIFFE ID, sections 2.1 to 2.3: a trust domain in lower case, and path segments that are neither empty nor
/// dots. X509-SVID, section 5.2: the ID of a workload has a path.
bool is_workload_id(std::string_view uri) {
  if (!uri.starts_with(kSpiffeScheme) || uri.size() > kMaxSpiffeBytes) return false;
  std::string_view rest = uri.substr(kSpiffeScheme.size());
  std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !config::is_trust_domain(rest.substr(0, slash))) return false;
  while (slash != std::string_view::npos) {
    rest = rest.substr(slash + 1);
    slash = rest.find('/');
    if (!is_spiffe_segment(rest.substr(0, slash))) return false;
  }
  return true;
}

bool is_among(X509* certificate, STACK_OF(X509) * all) {
  for (int i = 0; i < static_cast<int>(sk_X509_num(all)); ++i) {
    if (X509_cmp(certificate, sk_X509_value(all, i)) == 0) return true;
  }
  return false;
}

std::array<unsigned char, SHA256_DIGEST_LENGTH> digest_of(X509* certificate) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  const EncodedOctets der = encoded<i2d_X509>(certificate);
  if (der.size > 0) SHA256(der.memory.get(), der.size, digest.data());
  return digest;
}

std::array<std::byte, SHA256_DIGEST_LENGTH> digest_of_public_key(X509* certificate) {
  std::array<std::byte, SHA256_DIGEST_LENGTH> digest{};
  const EncodedOctets der = encoded<i2d_X509_PUBKEY>(X509_get_X509_PUBKEY(certificate));
  auto* into = reinterpret_cast<unsigned char*>(digest.data());
  if (der.size > 0) SHA256(der.memory.get(), der.size, into);
  return digest;
}

IssuedKey first_half(const std::array<unsigned char, SHA256_DIGEST_LENGTH>& digest) {
  IssuedKey key{};
  std::transform(digest.begin(), digest.begin() + key.size(), key.begin(),
                 [](unsigned char c) { return std::byte{c}; });
  return key;
}

bool is_self_signed(X509* certificate) {
  return (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0;
}

/// Returns the trusted certificate that issued `certificate`; nullptr if there is none. OpenSSL's chain ends
/// at the first trusted certificate, so that certificate's own issuer may be trusted as well.
X509Ptr trusted_issuer_of(X509* certificate, X509_STORE_CTX* context) {
  const CertificatesPtr named(X509_STORE_CTX_get1_certs(context, X509_get_issuer_name(certificate)));
  std::vector<X509*> candidates;
  for (int i = 0; i < static_cast<int>(sk_X509_num(named.get())); ++i) {
    X509* one = sk_X509_value(named.get(), i);
    if (X509_check_issued(one, certificate) == X509_V_OK) candidates.push_back(one);
  }
  const auto has_signed = [&](X509* one) {
    return ask_openssl([&] { return X509_verify(certificate, X509_get0_pubkey(one)); }) == 1;
  };
  // A signature is verified only where names and key identifiers leave a choice.
  if (candidates.size() > 1) std::erase_if(candidates, [&](X509* one) { return !has_signed(one); });
  return candidates.empty() ? nullptr : share(candidates.front());
}

/// Returns the trusted certificates above `last`, the end of a chain of `links` certificates, up to a root.
std::vector<X509Ptr> trusted_issuers_above(X509* last, std::size_t links, X509_STORE_CTX* context) {
  std::vector<X509Ptr> above;
  while (!is_self_signed(last) && links + above.size() < PeerIdentity::kMaxLinks) {
    X509Ptr issuer = trusted_issuer_of(last, context);
    if (issuer == nullptr) break;
    last = issuer.get();
    above.push_back(std::move(issuer));
  }
  return above;
}

std::string serial_text(X509* leaf) {
  const BnPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), nullptr));
  const TextPtr hex(number == nullptr ? nullptr : BN_bn2hex(number.get()));
  return hex == nullptr ? "" : hex.get();
}

std::string name_text(const X509_NAME* name) {
  const BioPtr memory(BIO_new(BIO_s_mem()));
  if (memory == nullptr || X509_NAME_print_ex(memory.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  const char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(std::max(0L, size))};
}

}  // namespace

std::string_view PeerIdentity::trust_domain() const {
  if (spiffe_id.empty()) return {};
  const std::string_view rest = std::string_view(spiffe_id).substr(kSpiffeScheme.size());
  return rest.substr(0, rest.find('/'));
}

const std::string& PeerIdentity::short_name() const {
  if (!spiffe_id.empty()) return spiffe_id;
  if (!dns.empty()) return dns.front();
  return common_name.empty() ? fingerprint : common_name;
}

PeerIdentity identity_of(X509* leaf) {
  PeerIdentity identity;
  const bool one_uri = read_alternative_names(leaf, identity) == 1 && identity.uris.size() == 1;
  if (one_uri && is_workload_id(identity.uris.front()) && may_identify_workload(leaf))
    identity.spiffe_id = identity.uris.front();
  const X509_NAME* subject = X509_get_subject_name(leaf);
  const auto common_names = entries(subject, NID_commonName);
  if (!common_names.empty()) identity.common_name = common_names.back();  // the most specific one comes last
  identity.organizational_units = entries(subject, NID_organizationalUnitName);
  std::erase(identity.organizational_units, std::string());
  const auto digest = digest_of(leaf);
  identity.fingerprint = hex_of(std::as_bytes(std::span(digest)));
  identity.public_key = digest_of_public_key(leaf);
  identity.serial = serial_text(leaf);
  identity.issuer = name_text(X509_get_issuer_name(leaf));
  identity.not_after = wall_time(X509_get0_notAfter(leaf));
  return identity;
}

void add_chain(PeerIdentity& identity, STACK_OF(X509) * verified, STACK_OF(X509) * sent,
               std::span<const X509Ptr> above) {
  const int count = static_cast<int>(sk_X509_num(verified));
  bool all_sent = true;
  IssuedKey own{};
  for (int i = 0; i < count; ++i) {
    X509* certificate = sk_X509_value(verified, i);
    X509* issuer = i + 1 < count ? sk_X509_value(verified, i + 1) : above.empty() ? nullptr : above[0].get();
    if (i == 0) own = trust_key(certificate);
    const IssuedKey unknown{};
    const IssuedKey by = issuer != nullptr ? trust_key(issuer) : is_self_signed(certificate) ? own : unknown;
    if (i == 0) identity.issued_by = by;
    if (i == 0 || !is_self_signed(certificate)) {
      identity.chain.push_back(issued_key(by, X509_get0_serialNumber(certificate)));
    }
    if (all_sent) identity.trust.push_back(own);
    all_sent = all_sent && (i == 0 || is_among(certificate, sent));
    identity.not_after = std::min(identity.not_after, wall_time(X509_get0_notAfter(certificate)));
    own = by;
  }
  for (std::size_t i = 0; i + 1 < above.size(); ++i) {
    identity.chain.push_back(
        issued_key(trust_key(above[i + 1].get()), X509_get0_serialNumber(above[i].get())));
  }
}

void add_chain(PeerIdentity& identity, X509_STORE_CTX* context) {
  STACK_OF(X509)* verified = X509_STORE_CTX_get0_chain(context);
  const int count = static_cast<int>(sk_X509_num(verified));
  const auto above =
      trusted_issuers_above(sk_X509_value(verified, count - 1), static_cast<std::size_t>(count), context);
  add_chain(identity, verified, X509_STORE_CTX_get0_untrusted(context), above);
}

IssuedKey issued_key(const IssuedKey& issuer, const ASN1_INTEGER* serial) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  std::vector<unsigned char> bytes;
  for (const std::byte byte : issuer) bytes.push_back(std::to_integer<unsigned char>(byte));
  const unsigned char* digits = ASN1_STRING_get0_data(serial);
  bytes.insert(bytes.end(), digits, digits + ASN1_STRING_length(serial));
  SHA256(bytes.data(), bytes.size(), digest.data());
  return first_half(digest);
}

IssuedKey key_of_text(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return first_half(digest);
}

IssuedKey trust_key(X509* certificate) {
  return trust_key(X509_get_subject_name(certificate), certificate);
}

IssuedKey trust_key(const X509_NAME* name, X509* certificate) {
  const EncodedOctets key = encoded<i2d_X509_PUBKEY>(X509_get_X509_PUBKEY(certificate));
  const EncodedOctets subject = encoded<i2d_X509_NAME>(const_cast<X509_NAME*>(name));
  std::vector<unsigned char> bytes(key.bytes().begin(), key.bytes().end());
  bytes.insert(bytes.end(), subject.bytes().begin(), subject.bytes().end());
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(bytes.data(), bytes.size(), digest.data());
  return first_half(digest);
}

}  // namespace headgate
