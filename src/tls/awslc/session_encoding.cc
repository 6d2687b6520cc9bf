#include "tls/awslc/session_encoding.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls/octets.h"

namespace headgate {
namespace {

constexpr std::uint64_t kEncodingVersion = 1;
constexpr std::size_t kMasterSecretBytes = 48;                                     // RFC 5246, section 8.1
constexpr std::uint64_t kMostFragmentCode = 4;                                     // RFC 6066, section 4
constexpr std::uint64_t kMostTimeout = std::numeric_limits<std::uint32_t>::max();  // of AWS-LC
constexpr std::uint64_t kExtendedMasterSecretFlag = 0x01;                          // in OpenSSL's field [13]

/// The parts of a session that a server needs to resume it, in views of the encoding that they were read
/// from. Neither encoding holds a number that is 0.
struct SessionParts {
  std::uint64_t version = 0;
  std::uint16_t cipher = 0;
  CBS secret{};               ///< TLS 1.2: the master secret. TLS 1.3: the pre-shared key.
  std::uint64_t time = 0;     ///< Seconds since the epoch.
  std::uint64_t timeout = 0;  ///< Seconds since `time`.
  CBS peer{};                 ///< The peer's own certificate, in DER.
  CBS id_context{};           ///< The session id context.
  std::uint64_t verify_result = 0;
  CBS psk_identity{};  ///< RFC 4279.
  bool extended_master_secret = false;
  std::uint64_t group = 0;    ///< A NamedGroup, RFC 8446, section 4.2.7.
  std::uint64_t age_add = 0;  ///< ticket_age_add, RFC 8446, section 4.6.1.
  CBS app_data{};             ///< In OpenSSL's encoding only.
};

CBS view_of(Octets octets) {
  CBS view;
  CBS_init(&view, as_octets(octets.data()), octets.size());
  return view;
}

std::vector<std::byte> copy_of(const CBS& view) {
  const auto* first = reinterpret_cast<const std::byte*>(CBS_data(&view));
  return {first, first + CBS_len(&view)};
}

bool is_empty(const CBS& view) {
  return CBS_len(&view) == 0;
}

CBS_ASN1_TAG tag_of(unsigned field) {
  return CBS_ASN1_CONSTRUCTED | CBS_ASN1_CONTEXT_SPECIFIC | field;
}

/// Reads the fields at the end of an encoding: all are optional, each is inside a tag of its number, and the
/// numbers ascend. A field that is malformed, and each one behind it, reads as absent.
class FieldReader {
 public:
  explicit FieldReader(const CBS& fields) : rest_(fields) {}

  /// INTEGER; 0 without one. A negative one is malformed: neither library encodes one of a server's session.
  std::uint64_t number(unsigned field) {
    std::uint64_t value = 0;
    good_ = good_ && CBS_get_optional_asn1_uint64(&rest_, &value, tag_of(field), 0);
    return good_ ? value : 0;
  }

  /// BOOLEAN; `otherwise` without one.
  bool flag(unsigned field, bool otherwise) {
    int value = 0;
    good_ = good_ && CBS_get_optional_asn1_bool(&rest_, &value, tag_of(field), otherwise ? 1 : 0);
    return good_ ? value != 0 : otherwise;
  }

  /// OCTET STRING; empty without one.
  CBS octets(unsigned field) {
    CBS value{};
    good_ = good_ && CBS_get_optional_asn1_octet_string(&rest_, &value, nullptr, tag_of(field));
    return good_ ? value : CBS{};
  }

  /// OCTET STRING of the four bytes of a ticket_age_add; 0 without one.
  std::uint64_t age_add(unsigned field) {
    CBS value = octets(field);
    std::uint32_t age_add = 0;
    if (!is_empty(value)) good_ = CBS_get_u32(&value, &age_add) && is_empty(value);
    return good_ ? age_add : 0;
  }

  /// One SEQUENCE, with its tag and length; empty without one.
  CBS certificate(unsigned field) {
    CBS content = certificates(field);
    CBS first{};
    if (is_empty(content)) return first;
    good_ = CBS_get_asn1_element(&content, &first, CBS_ASN1_SEQUENCE) && is_empty(content);
    return good_ ? first : CBS{};
  }

  /// One SEQUENCE or more, one behind the other; empty without one.
  CBS certificates(unsigned field) {
    CBS content{};
    int present = 0;
    good_ = good_ && CBS_get_optional_asn1(&rest_, &content, &present, tag_of(field));
    if (!good_ || present == 0) return {};
    CBS rest = content;
    do {
      good_ = CBS_get_asn1(&rest, nullptr, CBS_ASN1_SEQUENCE);
    } while (good_ && !is_empty(rest));
    return good_ ? content : CBS{};
  }

  /// Whether all fields were well formed and none is left.
  [[nodiscard]] bool is_at_end() const { return good_ && is_empty(rest_); }

 private:
  CBS rest_;
  bool good_ = true;
};

/// Reads the part in which the encodings are alike; the optional fields are left in `fields`. The session ID
/// is passed over: a ticket takes its place, and both libraries give the session another one when they open
/// the ticket (RFC 5077, section 3.4).
bool read_start(Octets encoded, SessionParts& parts, CBS& fields) {
  CBS whole = view_of(encoded);
  CBS cipher, id;
  std::uint64_t encoding_version = 0;
  return CBS_get_asn1(&whole, &fields, CBS_ASN1_SEQUENCE) && is_empty(whole) &&
         CBS_get_asn1_uint64(&fields, &encoding_version) && encoding_version == kEncodingVersion &&
         CBS_get_asn1_uint64(&fields, &parts.version) &&
         CBS_get_asn1(&fields, &cipher, CBS_ASN1_OCTETSTRING) && CBS_get_u16(&cipher, &parts.cipher) &&
         is_empty(cipher) && CBS_get_asn1(&fields, &id, CBS_ASN1_OCTETSTRING) &&
         CBS_len(&id) <= SSL_MAX_SSL_SESSION_ID_LENGTH &&
         CBS_get_asn1(&fields, &parts.secret, CBS_ASN1_OCTETSTRING);
}

/// OpenSSL's fields, SSL_SESSION_ASN1 in its ssl/ssl_asn1.c.
std::optional<SessionParts> read_openssl(Octets encoded) {
  SessionParts parts;
  CBS fields{};
  if (!read_start(encoded, parts, fields)) return std::nullopt;
  FieldReader reader(fields);
  parts.time = reader.number(1);
  parts.timeout = std::min(reader.number(2), kMostTimeout);
  parts.peer = reader.certificate(3);
  parts.id_context = reader.octets(4);
  parts.verify_result = reader.number(5);
  reader.octets(6);  // server name; only SSL_get_servername() reads it
  reader.octets(7);  // identity hint, which is the server's own
  parts.psk_identity = reader.octets(8);
  reader.number(9);   // lifetime hint, at a client
  reader.octets(10);  // ticket, at a client
  const CBS compression = reader.octets(11);
  const CBS srp_user = reader.octets(12);
  parts.extended_master_secret = (reader.number(13) & kExtendedMasterSecretFlag) != 0;
  parts.age_add = reader.number(14);
  reader.number(15);  // how much early data is allowed
  reader.octets(16);  // ALPN's protocol, for early data
  const std::uint64_t fragment_code = reader.number(17);
  parts.app_data = reader.octets(18);
  parts.group = reader.number(19);
  // [20] is a peer's raw public key, RFC 7250. It is not read, and neither is any field of a later OpenSSL.
  if (!reader.is_at_end()) return std::nullopt;
  // AWS-LC has no compression and no SRP. It would not keep to a length of fragments, which holds for all
  // resumptions of a session. Where no length was agreed on, OpenSSL has a number that is no code.
  const bool is_limited = fragment_code > 0 && fragment_code <= kMostFragmentCode;
  if (!is_empty(compression) || !is_empty(srp_user) || is_limited) return std::nullopt;
  return parts;
}

/// AWS-LC's fields, SSL_SESSION_parse() in its ssl/ssl_asn1.cc.
std::optional<SessionParts> read_awslc(Octets encoded) {
  SessionParts parts;
  CBS fields{};
  if (!read_start(encoded, parts, fields)) return std::nullopt;
  FieldReader reader(fields);
  parts.time = reader.number(1);
  parts.timeout = reader.number(2);
  parts.peer = reader.certificate(3);
  parts.id_context = reader.octets(4);
  parts.verify_result = reader.number(5);
  parts.psk_identity = reader.octets(8);
  reader.number(9);   // lifetime hint, at a client
  reader.octets(10);  // ticket, at a client
  const CBS peer_hash = reader.octets(13);
  reader.octets(14);  // hash of the handshake, for Channel ID
  reader.octets(15);  // certificate's timestamps, at a client
  reader.octets(16);  // OCSP response, at a client
  parts.extended_master_secret = reader.flag(17, false);
  parts.group = reader.number(18);
  reader.certificates(19);  // the others of the peer's chain
  parts.age_add = reader.age_add(21);
  const bool is_server = reader.flag(22, true);
  reader.number(23);  // peer's signature algorithm, for SSL_get_peer_signature_algorithm()
  reader.number(24);  // how much early data is allowed
  reader.number(25);  // how long AWS-LC would renew the session
  reader.octets(26);  // ALPN's protocol, for early data
  const bool is_quic = reader.flag(27, false);
  reader.octets(28);  // QUIC's parameters, for early data
  // [29] and [30] are settings of ALPS, which OpenSSL does not have. They are not read, and neither is any
  // field of a later AWS-LC. A hash in place of the peer has no field in OpenSSL, which would forget the
  // peer.
  if (!reader.is_at_end() || !is_empty(peer_hash) || !is_server || is_quic) return std::nullopt;
  return parts;
}

std::size_t secret_bytes(std::uint64_t version, const SSL_CIPHER* cipher) {
  return version == TLS1_3_VERSION ? EVP_MD_size(SSL_CIPHER_get_handshake_digest(cipher))
                                   : kMasterSecretBytes;
}

bool fits_cipher(const SessionParts& parts) {
  const SSL_CIPHER* cipher = SSL_get_cipher_by_value(parts.cipher);
  return cipher != nullptr && parts.version >= SSL_CIPHER_get_min_version(cipher) &&
         parts.version <= SSL_CIPHER_get_max_version(cipher) &&
         CBS_len(&parts.secret) == secret_bytes(parts.version, cipher);
}

bool is_readable_certificate(const CBS& der) {
  ERR_set_mark();
  const bssl::UniquePtr<CRYPTO_BUFFER> buffer(CRYPTO_BUFFER_new(CBS_data(&der), CBS_len(&der), nullptr));
  const bssl::UniquePtr<X509> certificate(buffer ? X509_parse_from_buffer(buffer.get()) : nullptr);
  ERR_pop_to_mark();
  return certificate != nullptr;
}

/// Whether both libraries take the parts as they are.
///
/// The parsers take more: OpenSSL reads no time as now and no timeout as three seconds, and AWS-LC would
/// begin with a secret of any length.
bool is_usable(const SessionParts& parts) {
  return (parts.version == TLS1_2_VERSION || parts.version == TLS1_3_VERSION) && fits_cipher(parts) &&
         parts.time > 0 && parts.time <= std::numeric_limits<std::int64_t>::max() && parts.timeout > 0 &&
         parts.timeout <= kMostTimeout && CBS_len(&parts.id_context) <= SSL_MAX_SID_CTX_LENGTH &&
         parts.verify_result <= std::numeric_limits<std::int32_t>::max() &&
         !CBS_contains_zero_byte(&parts.psk_identity) &&
         parts.group <= std::numeric_limits<std::uint16_t>::max() &&
         parts.age_add <= std::numeric_limits<std::uint32_t>::max() &&
         (is_empty(parts.peer) || is_readable_certificate(parts.peer));
}

bool add_number(CBB* fields, unsigned field, std::uint64_t value) {
  CBB tagged;
  return value == 0 || (CBB_add_asn1(fields, &tagged, tag_of(field)) && CBB_add_asn1_uint64(&tagged, value) &&
                        CBB_flush(fields));
}

bool add_octets(CBB* fields, unsigned field, const CBS& value) {
  CBB tagged;
  return CBB_add_asn1(fields, &tagged, tag_of(field)) &&
         CBB_add_asn1_octet_string(&tagged, CBS_data(&value), CBS_len(&value)) && CBB_flush(fields);
}

bool add_certificate(CBB* fields, unsigned field, const CBS& value) {
  CBB tagged;
  return CBB_add_asn1(fields, &tagged, tag_of(field)) &&
         CBB_add_bytes(&tagged, CBS_data(&value), CBS_len(&value)) && CBB_flush(fields);
}

bool add_true(CBB* fields, unsigned field) {
  CBB tagged;
  return CBB_add_asn1(fields, &tagged, tag_of(field)) && CBB_add_asn1_bool(&tagged, 1) && CBB_flush(fields);
}

bool add_age_add(CBB* fields, unsigned field, std::uint64_t value) {
  CBB tagged, octets;
  return CBB_add_asn1(fields, &tagged, tag_of(field)) &&
         CBB_add_asn1(&tagged, &octets, CBS_ASN1_OCTETSTRING) &&
         CBB_add_u32(&octets, static_cast<std::uint32_t>(value)) && CBB_flush(fields);
}

/// Writes the part in which the encodings are alike: up to the psk_identity, and without a session ID.
bool add_start(CBB* session, const SessionParts& parts) {
  CBB cipher;
  return CBB_add_asn1_uint64(session, kEncodingVersion) && CBB_add_asn1_uint64(session, parts.version) &&
         CBB_add_asn1(session, &cipher, CBS_ASN1_OCTETSTRING) && CBB_add_u16(&cipher, parts.cipher) &&
         CBB_add_asn1_octet_string(session, nullptr, 0) &&
         CBB_add_asn1_octet_string(session, CBS_data(&parts.secret), CBS_len(&parts.secret)) &&
         add_number(session, 1, parts.time) && add_number(session, 2, parts.timeout) &&
         (is_empty(parts.peer) || add_certificate(session, 3, parts.peer)) &&
         add_octets(session, 4, parts.id_context) && add_number(session, 5, parts.verify_result) &&
         (is_empty(parts.psk_identity) || add_octets(session, 8, parts.psk_identity));
}

/// Writes the fields that AWS-LC's server asks for when it resumes (ssl_session_is_resumable() and its
/// callers).
///
/// For both versions these are the session id context, the time, the version and the cipher suite of the
/// connection, the peer's certificate itself, and that the session is a server's, which it is without [22].
/// For TLS 1.2 also extended_master_secret: RFC 7627, section 5.3. For TLS 1.3 also ticket_age_add, whatever
/// it is: AWS-LC compares it only for early data, and OpenSSL does not encode one that is 0.
///
/// The others may be absent. The hash of the handshake [14] is for Channel ID alone, which AWS-LC declines
/// without it. AWS-LC reports the group and the peer's signature algorithm [23], and uses neither. Without
/// [24] the session allows no early data: whether a ticket has brought its early data before, only the
/// program that made the ticket could know. Without [25] the timeout is all of the session's life; with a
/// longer one there, AWS-LC would begin another timeout whenever the session is resumed.
bool add_awslc(CBB* session, const SessionParts& parts) {
  const bool is_tls13 = parts.version == TLS1_3_VERSION;
  return add_start(session, parts) && (is_tls13 || !parts.extended_master_secret || add_true(session, 17)) &&
         add_number(session, 18, parts.group) && (!is_tls13 || add_age_add(session, 21, parts.age_add));
}

/// Writes the fields that OpenSSL's server asks for when it resumes (ssl_get_prev_session()).
///
/// These are the session id context, the time, the version, the cipher suite (in TLS 1.3 its hash), and for
/// TLS 1.2 the flag of extended_master_secret. A session of TLS 1.3 must not have that flag: OpenSSL does not
/// read the extension then, misses it, and ends the connection. Without [15] the session allows no early
/// data.
bool add_openssl(CBB* session, const SessionParts& parts) {
  const bool is_extended = parts.extended_master_secret && parts.version != TLS1_3_VERSION;
  return add_start(session, parts) && add_number(session, 13, is_extended ? kExtendedMasterSecretFlag : 0) &&
         add_number(session, 14, parts.age_add) &&
         (is_empty(parts.app_data) || add_octets(session, 18, parts.app_data)) &&
         add_number(session, 19, parts.group);
}

/// Returns a SEQUENCE of the fields that `add` writes; nothing when it fails or `most_bytes` are too few. No
/// copy of the secret is left elsewhere.
template <class Add>
std::vector<std::byte> sequence(std::size_t most_bytes, const Add& add) {
  std::vector<std::byte> bytes(most_bytes);
  CBB out, content;
  std::size_t size = 0;
  if (!CBB_init_fixed(&out, as_octets(bytes.data()), bytes.size()) ||
      !CBB_add_asn1(&out, &content, CBS_ASN1_SEQUENCE) || !add(&content) ||
      !CBB_finish(&out, nullptr, &size)) {
    CBB_cleanup(&out);
    OPENSSL_cleanse(bytes.data(), bytes.size());
    return {};
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace

std::optional<OpenedSession> read_openssl_session(Octets encoded) {
  auto parts = read_openssl(encoded);
  if (!parts || !is_usable(*parts)) return std::nullopt;
  OpenedSession opened{.session = {}, .app_data = copy_of(parts->app_data)};
  opened.session =
      sequence(encoded.size() + kMostAddedBytes, [&](CBB* session) { return add_awslc(session, *parts); });
  if (opened.session.empty()) return std::nullopt;
  return opened;
}

std::vector<std::byte> openssl_session(Octets session, Octets key, Octets app_data) {
  auto parts = read_awslc(session);
  if (!parts) return {};
  if (!key.empty()) parts->secret = view_of(key);
  parts->app_data = view_of(app_data);
  if (!is_usable(*parts)) return {};
  constexpr std::size_t kMostHeaderBytes = 32;  // of the app_data and the key, and of the whole
  return sequence(session.size() + key.size() + app_data.size() + kMostHeaderBytes,
                  [&](CBB* openssl) { return add_openssl(openssl, *parts); });
}

}  // namespace headgate
