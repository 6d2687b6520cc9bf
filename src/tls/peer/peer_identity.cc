#include "tls/peer/peer_identity.h"

#include <algorithm>
#include <string_view>

#include <openssl/sha.h>

#include "tls/openssl/asn1_time.h"

namespace headgate {
namespace {

constexpr std::string_view kSpiffeScheme = "spiffe://";
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

std::string in_lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::vector<std::string> entries(const X509_NAME* name, int nid) {
  std::vector<std::string> found;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
    std::string text = utf8_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (!text.empty()) found.push_back(std::move(text));
  }
  return found;
}

void read_alternative_names(X509* leaf, PeerIdentity& identity) {
  const GeneralNamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = -1;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    if (type != GEN_URI && type != GEN_DNS) continue;
    std::string text = raw_text_of(value);
    if (text.empty()) continue;
    if (type == GEN_URI) {
      identity.uris.push_back(std::move(text));
    } else {
      identity.dns.push_back(in_lower_case(std::move(text)));
    }
  }
}

bool is_spiffe_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
         c == '_';
}

/// SPIFFE ID, sections 2.1 to 2.3: a trust domain in lower case, and path segments that are neither empty nor
/// dots.
bool is_spiffe_id(std::string_view uri) {
  if (!uri.starts_with(kSpiffeScheme) || uri.size() > kMaxSpiffeBytes) return false;
  std::string_view rest = uri.substr(kSpiffeScheme.size());
  bool trust_domain = true;
  for (;;) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    if (segment.empty() || segment == "." || segment == ".." ||
        !std::ranges::all_of(segment, is_spiffe_character)) {
      return false;
    }
    const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
    if (trust_domain && std::ranges::any_of(segment, is_upper)) return false;
    if (slash == std::string_view::npos) return true;
    rest = rest.substr(slash + 1);
    trust_domain = false;
  }
}

std::string hex_of(std::span<const unsigned char> bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const unsigned char byte : bytes) {
    text += kHex[byte >> 4];
    text += kHex[byte & 0x0f];
  }
  return text;
}

bool is_among(X509* certificate, STACK_OF(X509) * all) {
  for (int i = 0; i < sk_X509_num(all); ++i) {
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

IssuedKey first_half(const std::array<unsigned char, SHA256_DIGEST_LENGTH>& digest) {
  IssuedKey key{};
  std::transform(digest.begin(), digest.begin() + key.size(), key.begin(),
                 [](unsigned char c) { return std::byte{c}; });
  return key;
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

const std::string& PeerIdentity::short_name() const {
  if (!spiffe_id.empty()) return spiffe_id;
  if (!dns.empty()) return dns.front();
  return common_name.empty() ? fingerprint : common_name;
}

PeerIdentity identity_of(X509* leaf) {
  PeerIdentity identity;
  read_alternative_names(leaf, identity);
  if (identity.uris.size() == 1 && is_spiffe_id(identity.uris.front()))
    identity.spiffe_id = identity.uris.front();
  const X509_NAME* subject = X509_get_subject_name(leaf);
  const auto common_names = entries(subject, NID_commonName);
  if (!common_names.empty()) identity.common_name = common_names.back();  // the most specific one comes last
  identity.organizational_units = entries(subject, NID_organizationalUnitName);
  identity.fingerprint = hex_of(digest_of(leaf));
  identity.serial = serial_text(leaf);
  identity.issuer = name_text(X509_get_issuer_name(leaf));
  identity.issued_by = issuer_key(X509_get_issuer_name(leaf));
  identity.not_after = wall_time(X509_get0_notAfter(leaf));
  return identity;
}

void add_chain(PeerIdentity& identity, STACK_OF(X509) * verified, STACK_OF(X509) * sent) {
  bool all_sent = true;
  for (int i = 0; i < sk_X509_num(verified); ++i) {
    X509* certificate = sk_X509_value(verified, i);
    const bool self_issued =
        X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0;
    if (i == 0 || !self_issued) identity.chain.push_back(issued_key(certificate));
    if (all_sent) identity.trust.push_back(trust_key(certificate));
    all_sent = all_sent && (i == 0 || is_among(certificate, sent));
    identity.not_after = std::min(identity.not_after, wall_time(X509_get0_notAfter(certificate)));
  }
}

IssuedKey issued_key(X509* certificate) {
  return issued_key(X509_get_issuer_name(certificate), X509_get0_serialNumber(certificate));
}

IssuedKey issued_key(const X509_NAME* issuer, const ASN1_INTEGER* serial) {
  const EncodedOctets name = encoded<i2d_X509_NAME>(issuer);
  std::vector<unsigned char> bytes(name.bytes().begin(), name.bytes().end());
  const unsigned char* digits = ASN1_STRING_get0_data(serial);
  bytes.insert(bytes.end(), digits, digits + ASN1_STRING_length(serial));
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(bytes.data(), bytes.size(), digest.data());
  return first_half(digest);
}

IssuedKey key_of_text(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return first_half(digest);
}

IssuedKey issuer_key(const X509_NAME* issuer) {
  static const ASN1_INTEGER kNoSerial{};
  return issued_key(issuer, &kNoSerial);
}

IssuedKey trust_key(X509* certificate) {
  const EncodedOctets key = encoded<i2d_X509_PUBKEY>(X509_get_X509_PUBKEY(certificate));
  const IssuedKey name = issuer_key(X509_get_subject_name(certificate));
  std::vector<unsigned char> bytes(key.bytes().begin(), key.bytes().end());
  for (const std::byte byte : name) bytes.push_back(std::to_integer<unsigned char>(byte));
  return key_of_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace headgate
