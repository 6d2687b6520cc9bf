#include "tls/awslc/session_encoding.h"

#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "base/text_of.h"
#include "tls/octets.h"

namespace headgate {
namespace {

using ByteVector = std::vector<std::byte>;

// The encodings below are the contents of tickets of OpenSSL 3.0.19. Its server and its client did a
// handshake in memory, with a server name and ALPN; the server had SSL_CTX_set_timeout(43200), the session id
// context kIdContext, and kAppData by SSL_SESSION_set1_ticket_appdata(). The ticket of the client's session
// was then decrypted with the keys of SSL_CTX_set_tlsext_ticket_keys().
constexpr std::uint64_t kMade = 1796047145;  // seconds since the epoch
constexpr std::uint32_t kTimeout = 43200;
constexpr std::string_view kIdContext = "sixteen bytes id";
constexpr std::string_view kAppData = "binding";

// ECDHE-ECDSA-AES256-GCM-SHA384.
constexpr std::string_view kTls12 =
    "308196020101020203030402c02c040004300532b8389058d7f94ce7e8770bab2d412b06bec4dcc269ae0fa186ddbfec14e0"
    "48089844ecd663f07137865caf8e3360a10602046b0d8129a205020300a8c0a41204107369787465656e2062797465732069"
    "64a611040f7777772e6578616d706c652e636f6dad03020101b00a0408687474702f312e31b209040762696e64696e67b303"
    "02011d";
// ECDHE-ECDSA-AES128-SHA, and a client without extended_master_secret.
constexpr std::string_view kTls12Plain =
    "308191020101020203030402c00904000430c7880eadbcaa256d0c014973c8282d2f53e4903a1c6533cf576f7b5a63649a03"
    "7ba3af9da8ac742056c4b4f6359f9b40a10602046b0d8129a205020300a8c0a41204107369787465656e2062797465732069"
    "64a611040f7777772e6578616d706c652e636f6db00a0408687474702f312e31b209040762696e64696e67b30302011d";
// The same as kTls12, but the client asked for a max_fragment_length of 512.
constexpr std::string_view kTls12Limited =
    "30819b020101020203030402c02c04000430fd8899047b0781be0fb67286ba3e69f24bfb9d56447540eb9e0e12fbdc099af2"
    "9d37ed6fa4fa6fb8917bed47b7f3aa56a10602046b0d8129a205020300a8c0a41204107369787465656e2062797465732069"
    "64a611040f7777772e6578616d706c652e636f6dad03020101b00a0408687474702f312e31b103020101b209040762696e64"
    "696e67b30302011d";
// ECDHE-ECDSA-AES256-GCM-SHA384, with a client certificate that no CA issued.
constexpr std::string_view kTls12WithPeer =
    "308201ca020101020203030402c02c04000430b9d5510281421e3068e352bff306325e48e94b87b7c89975958b7a515b4a1f"
    "d5f9f1651be05bd2d4488ad69f1dbab8c6a10602046b0d8129a205020300a8c0a382012b308201273081cda0030201020201"
    "07300a06082a8648ce3d040302301d311b301906035504030c12636c69656e742e6578616d706c652e636f6d301e170d3236"
    "303130313030303030305a170d3336303130313030303030305a301d311b301906035504030c12636c69656e742e6578616d"
    "706c652e636f6d3059301306072a8648ce3d020106082a8648ce3d0301070342000431f07ba491b46dd7d0c7226238987769"
    "2280cc18adb49c5eb8c2ba95a3c13242fbf1730ff1323f4237236035d525d3a00e866d142a3c6c1f1e0ede74e5957278300a"
    "06082a8648ce3d0403020349003046022100d7579e0a501b20c11174ca1e7847361058003487a03380bc7f6c10d5b5b38af6"
    "022100d31941c1673439ddf534cce1f86b19cea7292ede5dda721f262b64251f10a8e6a41204107369787465656e20627974"
    "6573206964a503020112a611040f7777772e6578616d706c652e636f6dad03020101b00a0408687474702f312e31b2090407"
    "62696e64696e67b30302011d";
// TLS_CHACHA20_POLY1305_SHA256.
constexpr std::string_view kTls13 =
    "3081a9020101020203040402130304207eda388d5960a54af93562dd57ce484aa8b0f270a9686f3233c4186836c2b4980420"
    "1a76630087cbde940d8adc613db554515926b5f9aaac6c0e89f97abf48454367a10602046b0d8129a205020300a8c0a41204"
    "107369787465656e206279746573206964a611040f7777772e6578616d706c652e636f6dae0602047723cfddb00a04086874"
    "74702f312e31b209040762696e64696e67b30302011d";
// TLS_AES_256_GCM_SHA384, with a client certificate that no CA issued, and early data is allowed.
constexpr std::string_view kTls13WithPeer =
    "308201f402010102020304040213020420fbc8813c22c9ab96cd978c55a3ebf186d4b2b8d571629965c08900a8b8f71a1004"
    "30a436a60ece63816e3e65d43f4c45efd486ce79b49dda0ccef91df8b44c315d9b9b22d51ad7c3b922e8f3191306c47e34a1"
    "0602046b0d8129a205020300a8c0a382012b308201273081cda003020102020107300a06082a8648ce3d040302301d311b30"
    "1906035504030c12636c69656e742e6578616d706c652e636f6d301e170d3236303130313030303030305a170d3336303130"
    "313030303030305a301d311b301906035504030c12636c69656e742e6578616d706c652e636f6d3059301306072a8648ce3d"
    "020106082a8648ce3d0301070342000431f07ba491b46dd7d0c72262389877692280cc18adb49c5eb8c2ba95a3c13242fbf1"
    "730ff1323f4237236035d525d3a00e866d142a3c6c1f1e0ede74e5957278300a06082a8648ce3d0403020349003046022100"
    "d7579e0a501b20c11174ca1e7847361058003487a03380bc7f6c10d5b5b38af6022100d31941c1673439ddf534cce1f86b19"
    "cea7292ede5dda721f262b64251f10a8e6a41204107369787465656e206279746573206964a503020112a611040f7777772e"
    "6578616d706c652e636f6dae07020500908874a6af0402024000b00a0408687474702f312e31b209040762696e64696e67b3"
    "0302011d";

ByteVector bytes_of_text(std::string_view text) {
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

Octets octets_of(const std::uint8_t* first, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(first), size};
}

/// The bytes that hex digits spell; blanks are passed over.
ByteVector from_hex(std::string_view digits) {
  ByteVector bytes;
  int high = -1;
  for (const char digit : digits) {
    if (digit == ' ') continue;
    const int value = digit <= '9' ? digit - '0' : digit - 'a' + 10;
    if (high >= 0) bytes.push_back(static_cast<std::byte>(high * 16 + value));
    high = high < 0 ? value : -1;
  }
  return bytes;
}

std::string to_hex(Octets bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string digits;
  for (const std::byte byte : bytes) {
    digits += kDigits[std::to_integer<std::size_t>(byte) >> 4];
    digits += kDigits[std::to_integer<std::size_t>(byte) & 15];
  }
  return digits;
}

/// The SEQUENCE around fields that are given in hex.
ByteVector sequence_of(std::string_view fields) {
  const ByteVector content = from_hex(fields);
  bssl::ScopedCBB out;
  CBB sequence;
  std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  HG_CHECK(CBB_init(out.get(), content.size()) && CBB_add_asn1(out.get(), &sequence, CBS_ASN1_SEQUENCE) &&
           CBB_add_bytes(&sequence, as_octets(content.data()), content.size()) &&
           CBB_finish(out.get(), &bytes, &size));
  const bssl::UniquePtr<std::uint8_t> owned(bytes);
  const Octets octets = octets_of(bytes, size);
  return {octets.begin(), octets.end()};
}

/// The fields in an encoding, in hex.
std::string fields_of(Octets encoding) {
  CBS whole, content;
  CBS_init(&whole, as_octets(encoding.data()), encoding.size());
  HG_CHECK(CBS_get_asn1(&whole, &content, CBS_ASN1_SEQUENCE) && CBS_len(&whole) == 0);
  return to_hex(octets_of(CBS_data(&content), CBS_len(&content)));
}

/// An encoding in which the first `from` among the fields became `to`; all are in hex.
ByteVector edited(Octets encoding, std::string_view from, std::string_view to) {
  std::string fields = fields_of(encoding);
  const std::size_t place = fields.find(from);
  HG_CHECK(place != std::string::npos);
  return sequence_of(fields.replace(place, from.size(), to));
}

ByteVector edited(std::string_view encoding, std::string_view from, std::string_view to) {
  return edited(from_hex(encoding), from, to);
}

/// An encoding with more at the end of the last field; all are in hex.
ByteVector extended(Octets encoding, std::string_view more) {
  return sequence_of(fields_of(encoding).append(more));
}

SSL_CTX* any_context() {
  static const bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  return context.get();
}

/// A session as AWS-LC reads it from its own encoding; nullptr when it refuses.
bssl::UniquePtr<SSL_SESSION> awslc_session(Octets encoding) {
  return bssl::UniquePtr<SSL_SESSION>(
      SSL_SESSION_from_bytes(as_octets(encoding.data()), encoding.size(), any_context()));
}

ByteVector encoding_of(const SSL_SESSION* session) {
  std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  HG_CHECK(SSL_SESSION_to_bytes(session, &bytes, &size) == 1);
  const bssl::UniquePtr<std::uint8_t> owned(bytes);
  const Octets octets = octets_of(bytes, size);
  return {octets.begin(), octets.end()};
}

std::string secret_of(const SSL_SESSION* session) {
  std::array<std::uint8_t, SSL_MAX_MASTER_KEY_LENGTH> secret{};
  const std::size_t size = SSL_SESSION_get_master_key(session, secret.data(), secret.size());
  return to_hex(octets_of(secret.data(), size));
}

std::string id_context_of(const SSL_SESSION* session) {
  unsigned size = 0;
  const std::uint8_t* context = SSL_SESSION_get0_id_context(session, &size);
  return {reinterpret_cast<const char*>(context), size};
}

std::string name_of(X509* certificate) {
  if (certificate == nullptr) return "";
  std::array<char, 64> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                            static_cast<int>(name.size()));
  return name.data();
}

bssl::UniquePtr<EVP_PKEY> new_key() {
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  bssl::UniquePtr<EC_KEY> curve_key(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  HG_CHECK(EC_KEY_generate_key(curve_key.get()) == 1);
  HG_CHECK(EVP_PKEY_assign_EC_KEY(key.get(), curve_key.release()) == 1);
  return key;
}

/// A self-signed certificate that is valid from the first day of the epoch to 2106.
bssl::UniquePtr<X509> certificate_for(EVP_PKEY* key, std::string_view name) {
  bssl::UniquePtr<X509> made(X509_new());
  const auto* common_name = reinterpret_cast<const std::uint8_t*>(name.data());
  HG_CHECK(X509_set_version(made.get(), X509_VERSION_3) == 1);
  HG_CHECK(ASN1_TIME_set(X509_getm_notBefore(made.get()), 0) != nullptr);
  HG_CHECK(ASN1_TIME_set(X509_getm_notAfter(made.get()), 0xffffffff) != nullptr);
  HG_CHECK(X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_ASC, common_name,
                                      static_cast<ossl_ssize_t>(name.size()), -1, 0) == 1);
  HG_CHECK(X509_set_issuer_name(made.get(), X509_get_subject_name(made.get())) == 1);
  HG_CHECK(X509_set_pubkey(made.get(), key) == 1);
  HG_CHECK(X509_sign(made.get(), key, EVP_sha256()) > 0);
  return made;
}

/// The time of all contexts. It stands still.
std::uint64_t clock_now = kMade;

void tell_time(const SSL*, timeval* now) {
  *now = {.tv_sec = static_cast<time_t>(clock_now), .tv_usec = 0};
}

/// What a test learns at one end of a connection; the app data of its SSL.
struct End {
  std::string opened_app_data;           ///< At a server, of the ticket that it took.
  bssl::UniquePtr<SSL_SESSION> session;  ///< At a client, the newest.
};

End& end_of(const SSL* ssl) {
  return *static_cast<End*>(SSL_get_app_data(ssl));
}

/// A ticket of these tests is OpenSSL's encoding with as many bytes behind it as name, IV and MAC would take.
constexpr std::size_t kProtectionBytes = 64;

ByteVector ticket_of(Octets encoding) {
  ByteVector ticket(encoding.begin(), encoding.end());
  ticket.resize(encoding.size() + kProtectionBytes);
  return ticket;
}

int seal(SSL*, std::uint8_t* out, std::size_t* out_size, std::size_t most, const std::uint8_t* session,
         std::size_t size) {
  const ByteVector ticket = ticket_of(openssl_session(octets_of(session, size), {}, bytes_of_text(kAppData)));
  if (ticket.size() <= kProtectionBytes || ticket.size() > most) return 0;
  std::copy_n(as_octets(ticket.data()), ticket.size(), out);
  *out_size = ticket.size();
  return 1;
}

ssl_ticket_aead_result_t open(SSL* ssl, std::uint8_t* out, std::size_t* out_size, std::size_t most,
                              const std::uint8_t* ticket, std::size_t size) {
  if (size < kProtectionBytes) return ssl_ticket_aead_ignore_ticket;
  const auto opened = read_openssl_session(octets_of(ticket, size - kProtectionBytes));
  if (!opened) return ssl_ticket_aead_ignore_ticket;
  HG_CHECK(opened->session.size() <= most);
  std::copy_n(as_octets(opened->session.data()), opened->session.size(), out);
  *out_size = opened->session.size();
  end_of(ssl).opened_app_data = text_of(opened->app_data);
  return ssl_ticket_aead_success;
}

bssl::UniquePtr<SSL_CTX> new_context() {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  const auto* id_context = reinterpret_cast<const std::uint8_t*>(kIdContext.data());
  HG_CHECK(SSL_CTX_set_session_id_context(context.get(), id_context, kIdContext.size()) == 1);
  HG_CHECK(SSL_CTX_set_strict_cipher_list(context.get(), "ALL") == 1);
  SSL_CTX_set_current_time_cb(context.get(), tell_time);
  return context;
}

bssl::UniquePtr<SSL_CTX> server_context(bool asks_for_certificate) {
  static const SSL_TICKET_AEAD_METHOD method{
      .max_overhead = [](SSL*) -> std::size_t { return 256; }, .seal = seal, .open = open};
  static const bssl::UniquePtr<EVP_PKEY> key = new_key();
  static const bssl::UniquePtr<X509> certificate = certificate_for(key.get(), "server");
  bssl::UniquePtr<SSL_CTX> context = new_context();
  HG_CHECK(SSL_CTX_use_certificate(context.get(), certificate.get()) == 1);
  HG_CHECK(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1);
  SSL_CTX_set_ticket_aead_method(context.get(), &method);
  SSL_CTX_set_timeout(context.get(), kTimeout);
  SSL_CTX_set_session_psk_dhe_timeout(context.get(), kTimeout);
  if (asks_for_certificate) {
    SSL_CTX_set_custom_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                              [](SSL*, std::uint8_t*) { return ssl_verify_ok; });
  }
  return context;
}

/// A client with a certificate, and with another one in its chain.
bssl::UniquePtr<SSL_CTX> client_context() {
  static const bssl::UniquePtr<EVP_PKEY> key = new_key();
  static const bssl::UniquePtr<X509> certificate = certificate_for(key.get(), "client");
  static const bssl::UniquePtr<X509> issuer = certificate_for(key.get(), "issuer");
  bssl::UniquePtr<SSL_CTX> context = new_context();
  HG_CHECK(SSL_CTX_use_certificate(context.get(), certificate.get()) == 1);
  HG_CHECK(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1);
  HG_CHECK(SSL_CTX_add1_chain_cert(context.get(), issuer.get()) == 1);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), [](SSL* ssl, SSL_SESSION* session) {
    end_of(ssl).session.reset(session);
    return 1;
  });
  return context;
}

/// A connection in memory.
struct Connection {
  Connection(SSL_CTX* server_context, SSL_CTX* client_context, SSL_SESSION* offered)
      : server(SSL_new(server_context)), client(SSL_new(client_context)) {
    BIO* server_bio = nullptr;
    BIO* client_bio = nullptr;
    HG_CHECK(BIO_new_bio_pair(&server_bio, 0, &client_bio, 0) == 1);
    SSL_set_bio(server.get(), server_bio, server_bio);
    SSL_set_bio(client.get(), client_bio, client_bio);
    SSL_set_app_data(server.get(), &server_end);
    SSL_set_app_data(client.get(), &client_end);
    SSL_set_accept_state(server.get());
    SSL_set_connect_state(client.get());
    if (offered != nullptr) SSL_set_session(client.get(), offered);
    for (int flight = 0; flight < 4; ++flight) {
      SSL_do_handshake(client.get());
      SSL_do_handshake(server.get());
    }
    char data = 'x';
    is_done = SSL_write(server.get(), &data, 1) == 1 && SSL_read(client.get(), &data, 1) == 1;
  }

  [[nodiscard]] bool is_resumed() const {
    return is_done && SSL_session_reused(server.get()) == 1 && SSL_session_reused(client.get()) == 1;
  }
  [[nodiscard]] SSL_SESSION* server_session() const { return SSL_get_session(server.get()); }

  End server_end;
  End client_end;
  bssl::UniquePtr<SSL> server;
  bssl::UniquePtr<SSL> client;
  bool is_done = false;  ///< Both ends finished, and data of the server arrived.
};

struct Kind {
  std::uint16_t version;
  bool has_peer;
};

/// Sessions of AWS-LC's server and client, of both versions, with and without a client certificate.
class HandshakeSessions : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    clock_now = kMade;
    ASSERT_EQ(SSL_CTX_set_max_proto_version(client_ctx.get(), GetParam().version), 1);
    first.emplace(server_ctx.get(), client_ctx.get(), nullptr);
    ASSERT_TRUE(first->is_done);
    ASSERT_NE(first->client_end.session, nullptr);
  }

  bssl::UniquePtr<SSL_CTX> server_ctx = server_context(GetParam().has_peer);
  bssl::UniquePtr<SSL_CTX> client_ctx = client_context();
  std::optional<Connection> first;
};

TEST_P(HandshakeSessions, AreResumedFromOpensslsEncoding) {
  const Connection second(server_ctx.get(), client_ctx.get(), first->client_end.session.get());
  EXPECT_TRUE(second.is_resumed());
  EXPECT_EQ(SSL_version(second.server.get()), GetParam().version);
  EXPECT_EQ(second.server_end.opened_app_data, kAppData);
  EXPECT_EQ(name_of(SSL_SESSION_get0_peer(second.server_session())), GetParam().has_peer ? "client" : "");
  EXPECT_EQ(SSL_get_extms_support(second.server.get()), 1);

  const bool has_new_ticket = second.client_end.session != nullptr;
  EXPECT_EQ(has_new_ticket, GetParam().version == TLS1_3_VERSION);
  if (!has_new_ticket) return;
  const Connection third(server_ctx.get(), client_ctx.get(), second.client_end.session.get());
  EXPECT_TRUE(third.is_resumed());
  EXPECT_EQ(name_of(SSL_SESSION_get0_peer(third.server_session())), GetParam().has_peer ? "client" : "");
}

TEST_P(HandshakeSessions, KeepTheirFieldsThereAndBack) {
  const SSL_SESSION* before = first->server_session();
  const ByteVector openssl = openssl_session(encoding_of(before), {}, bytes_of_text(kAppData));
  const auto opened = read_openssl_session(openssl);
  ASSERT_TRUE(opened);
  EXPECT_EQ(text_of(opened->app_data), kAppData);
  EXPECT_EQ(openssl_session(opened->session, {}, opened->app_data), openssl);

  const bssl::UniquePtr<SSL_SESSION> after = awslc_session(opened->session);
  ASSERT_NE(after, nullptr);
  EXPECT_EQ(SSL_SESSION_get_protocol_version(after.get()), GetParam().version);
  EXPECT_EQ(SSL_SESSION_get0_cipher(after.get()), SSL_SESSION_get0_cipher(before));
  EXPECT_EQ(secret_of(after.get()), secret_of(before));
  EXPECT_EQ(SSL_SESSION_get_time(after.get()), kMade);
  EXPECT_EQ(SSL_SESSION_get_timeout(after.get()), kTimeout);
  EXPECT_EQ(id_context_of(after.get()), kIdContext);
  EXPECT_EQ(name_of(SSL_SESSION_get0_peer(after.get())), GetParam().has_peer ? "client" : "");
  EXPECT_EQ(sk_CRYPTO_BUFFER_num(SSL_SESSION_get0_peer_certificates(before)), GetParam().has_peer ? 2U : 0U);
  EXPECT_EQ(sk_CRYPTO_BUFFER_num(SSL_SESSION_get0_peer_certificates(after.get())),
            GetParam().has_peer ? 1U : 0U);
}

TEST_P(HandshakeSessions, CanHaveAnotherSecret) {
  const SSL_SESSION* before = first->server_session();
  const ByteVector key(SSL_SESSION_get_master_key(before, nullptr, 0), std::byte{7});
  const auto opened = read_openssl_session(openssl_session(encoding_of(before), key, {}));
  ASSERT_TRUE(opened);
  EXPECT_TRUE(opened->app_data.empty());
  EXPECT_EQ(secret_of(awslc_session(opened->session).get()), to_hex(key));

  const ByteVector too_long(key.size() + 1, std::byte{7});
  EXPECT_TRUE(openssl_session(encoding_of(before), too_long, {}).empty());
  EXPECT_TRUE(openssl_session(encoding_of(before), Octets(key).first(key.size() - 1), {}).empty());
}

INSTANTIATE_TEST_SUITE_P(Versions, HandshakeSessions,
                         testing::Values(Kind{TLS1_2_VERSION, false}, Kind{TLS1_2_VERSION, true},
                                         Kind{TLS1_3_VERSION, false}, Kind{TLS1_3_VERSION, true}),
                         [](const testing::TestParamInfo<Kind>& kind) {
                           return std::string(kind.param.version == TLS1_3_VERSION ? "Tls13" : "Tls12") +
                                  (kind.param.has_peer ? "WithPeer" : "");
                         });

TEST(SessionEncoding, ResumesASessionOfAPreSharedKey) {
  clock_now = kMade;
  const auto server_ctx = server_context(false);
  const auto client_ctx = client_context();
  SSL_CTX_set_psk_server_callback(server_ctx.get(), [](SSL*, const char*, std::uint8_t* key, unsigned) {
    *key = 7;
    return 1U;
  });
  SSL_CTX_set_psk_client_callback(
      client_ctx.get(), [](SSL*, const char*, char* identity, unsigned, std::uint8_t* key, unsigned) {
        std::copy_n("me", 3, identity);
        *key = 7;
        return 1U;
      });
  ASSERT_EQ(SSL_CTX_set_max_proto_version(client_ctx.get(), TLS1_2_VERSION), 1);
  ASSERT_EQ(SSL_CTX_set_strict_cipher_list(client_ctx.get(), "ECDHE-PSK-AES128-CBC-SHA"), 1);
  const Connection first(server_ctx.get(), client_ctx.get(), nullptr);
  ASSERT_TRUE(first.is_done);
  const Connection second(server_ctx.get(), client_ctx.get(), first.client_end.session.get());
  EXPECT_TRUE(second.is_resumed());
  EXPECT_STREQ(SSL_get_psk_identity(second.server.get()), "me");
}

/// A session of OpenSSL's server, and what is in it.
struct Made {
  std::string_view encoding;
  std::uint16_t version;
  std::string_view cipher;
  std::string_view secret_start;
  std::string_view peer;
  long verify_result;
};
constexpr std::array<Made, 5> kMadeByOpenssl{{
    {kTls12, TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", "0532b838", "", X509_V_OK},
    {kTls12Plain, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", "c7880ead", "", X509_V_OK},
    {kTls12WithPeer, TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", "b9d55102", "client.example.com",
     X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
    {kTls13, TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", "1a766300", "", X509_V_OK},
    {kTls13WithPeer, TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", "a436a60e", "client.example.com",
     X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
}};

TEST(OpensslsSession, HasItsFieldsInAwslc) {
  for (const Made& made : kMadeByOpenssl) {
    SCOPED_TRACE(made.encoding);
    const auto opened = read_openssl_session(from_hex(made.encoding));
    ASSERT_TRUE(opened);
    EXPECT_EQ(text_of(opened->app_data), kAppData);
    const bssl::UniquePtr<SSL_SESSION> session = awslc_session(opened->session);
    ASSERT_NE(session, nullptr);
    EXPECT_EQ(SSL_SESSION_get_protocol_version(session.get()), made.version);
    EXPECT_EQ(SSL_CIPHER_get_name(SSL_SESSION_get0_cipher(session.get())), made.cipher);
    EXPECT_TRUE(secret_of(session.get()).starts_with(made.secret_start)) << secret_of(session.get());
    EXPECT_EQ(SSL_SESSION_get_time(session.get()), kMade);
    EXPECT_EQ(SSL_SESSION_get_timeout(session.get()), kTimeout);
    EXPECT_EQ(id_context_of(session.get()), kIdContext);
    EXPECT_EQ(name_of(SSL_SESSION_get0_peer(session.get())), made.peer);
    EXPECT_EQ(SSL_SESSION_early_data_capable(session.get()), 0);
    EXPECT_LE(opened->session.size(), made.encoding.size() / 2 + kMostAddedBytes);
  }
}

// The secrets and the fields of kTls12 and kTls13 in hex.
constexpr std::string_view kTls12Secret = kTls12.substr(kTls12.find("0430") + 4, 96);
constexpr std::string_view kTls13Id = kTls13.substr(kTls13.find("0420"), 68);
constexpr std::string_view kTls13Secret = kTls13.substr(kTls13.find("0420") + 68 + 4, 64);
constexpr std::string_view kTimes = "a10602046b0d8129a205020300a8c0";
constexpr std::string_view kIdContextField = "a41204107369787465656e206279746573206964";
constexpr std::string_view kServerNameField = "a611040f7777772e6578616d706c652e636f6d";
constexpr std::string_view kAlpnField = "b00a0408687474702f312e31";

ByteVector tls12_of_awslc(std::string_view fields_behind) {
  return sequence_of(std::string("020101 02020303 0402c02c 0400 0430")
                         .append(kTls12Secret)
                         .append(kTimes)
                         .append(kIdContextField)
                         .append(fields_behind));
}

ByteVector tls13_of_awslc(std::string_view fields_behind) {
  return sequence_of(std::string("020101 02020304 04021303 0400 0420")
                         .append(kTls13Secret)
                         .append(kTimes)
                         .append(kIdContextField)
                         .append(fields_behind));
}

TEST(OpensslsSession, IsExactlyTheseFieldsOfAwslc) {
  // extendedMasterSecret and groupID
  EXPECT_EQ(read_openssl_session(from_hex(kTls12))->session, tls12_of_awslc("b1030101ff b20302011d"));
  // groupID and ticketAgeAdd
  EXPECT_EQ(read_openssl_session(from_hex(kTls13))->session, tls13_of_awslc("b20302011d b50604047723cfdd"));
}

TEST(OpensslsSession, HasAnAgeAddInAwslcWhateverItIs) {
  const ByteVector without = edited(kTls13, "ae0602047723cfdd", "");
  EXPECT_EQ(read_openssl_session(without)->session, tls13_of_awslc("b20302011d b506040400000000"));
}

TEST(OpensslsSession, LosesOnlyIdAndServerNameAndAlpnInAwslc) {
  const ByteVector app_data = bytes_of_text(kAppData);
  const ByteVector tls12 = edited(edited(kTls12, kServerNameField, ""), kAlpnField, "");
  EXPECT_EQ(openssl_session(read_openssl_session(from_hex(kTls12))->session, {}, app_data), tls12);
  const ByteVector tls13 =
      edited(edited(edited(kTls13, kTls13Id, "0400"), kServerNameField, ""), kAlpnField, "");
  EXPECT_EQ(openssl_session(read_openssl_session(from_hex(kTls13))->session, {}, app_data), tls13);
}

/// Connects to AWS-LC's server with a session that OpenSSL's server made. The client has the same session.
Connection resume(std::string_view made, std::string_view cipher) {
  const ByteVector encoding = from_hex(made);
  const auto opened = read_openssl_session(encoding);
  HG_CHECK(opened.has_value());
  const bssl::UniquePtr<SSL_SESSION> offered = awslc_session(extended(opened->session, "b603010100"));
  const ByteVector ticket = ticket_of(encoding);
  HG_CHECK(SSL_SESSION_set_ticket(offered.get(), as_octets(ticket.data()), ticket.size()) == 1);

  const auto server_ctx = server_context(false);
  const auto client_ctx = client_context();
  const std::string name(cipher);
  const bool is_tls13 = SSL_SESSION_get_protocol_version(offered.get()) == TLS1_3_VERSION;
  HG_CHECK(is_tls13 ? SSL_CTX_set_ciphersuites(client_ctx.get(), name.c_str())
                    : SSL_CTX_set_strict_cipher_list(client_ctx.get(), name.c_str()));
  if (!is_tls13) HG_CHECK(SSL_CTX_set_max_proto_version(client_ctx.get(), TLS1_2_VERSION) == 1);
  return Connection(server_ctx.get(), client_ctx.get(), offered.get());
}

TEST(OpensslsSession, IsResumedByAwslc) {
  clock_now = kMade;
  for (const Made& made : kMadeByOpenssl) {
    SCOPED_TRACE(made.cipher);
    const Connection connection = resume(made.encoding, made.cipher);
    EXPECT_TRUE(connection.is_done);
    // RFC 7627, section 5.3: AWS-LC's client has extended_master_secret, so this session is not resumed.
    EXPECT_EQ(connection.is_resumed(), made.encoding != kTls12Plain);
    if (!connection.is_resumed()) continue;
    EXPECT_EQ(connection.server_end.opened_app_data, kAppData);
    EXPECT_EQ(name_of(SSL_SESSION_get0_peer(connection.server_session())), made.peer);
    EXPECT_EQ(SSL_get_verify_result(connection.server.get()), made.verify_result);
  }
}

TEST(OpensslsSession, IsResumedUntilItsTimeout) {
  for (const Made& made : {kMadeByOpenssl[0], kMadeByOpenssl[3]}) {
    clock_now = kMade + kTimeout - 1;
    EXPECT_TRUE(resume(made.encoding, made.cipher).is_resumed());
    clock_now = kMade + kTimeout;
    const Connection late = resume(made.encoding, made.cipher);
    EXPECT_TRUE(late.is_done);
    EXPECT_FALSE(late.is_resumed());
  }
}

TEST(OpensslsSession, IsNotLengthenedByItsResumptions) {
  clock_now = kMade + 100;
  const Connection connection = resume(kTls13, "TLS_CHACHA20_POLY1305_SHA256");
  ASSERT_TRUE(connection.is_resumed());
  EXPECT_EQ(SSL_SESSION_get_time(connection.server_session()), kMade + 100);
  EXPECT_EQ(SSL_SESSION_get_timeout(connection.server_session()), kTimeout - 100);
}

TEST(OpensslsSession, MayHaveAnyCipherSuiteOfAwslc) {
  const auto context = new_context();
  std::size_t count = 0;
  for (const SSL_CIPHER* cipher : SSL_CTX_get_ciphers(context.get())) {
    SCOPED_TRACE(SSL_CIPHER_get_name(cipher));
    const std::uint16_t number = SSL_CIPHER_get_protocol_id(cipher);
    const std::array<std::byte, 2> bytes{static_cast<std::byte>(number >> 8), static_cast<std::byte>(number)};
    const bool is_tls13 = SSL_CIPHER_get_min_version(cipher) == TLS1_3_VERSION;
    const bool is_sha384 = EVP_MD_size(SSL_CIPHER_get_handshake_digest(cipher)) == 48;
    const ByteVector made = !is_tls13   ? edited(kTls12, "0402c02c", "0402" + to_hex(bytes))
                            : is_sha384 ? edited(kTls13WithPeer, "04021302", "0402" + to_hex(bytes))
                                        : edited(kTls13, "04021303", "0402" + to_hex(bytes));
    const auto opened = read_openssl_session(made);
    ASSERT_TRUE(opened);
    EXPECT_EQ(SSL_SESSION_get0_cipher(awslc_session(opened->session).get()), cipher);
    ++count;
  }
  EXPECT_GE(count, 20U);
}

TEST(OpensslsSession, IsRefusedWhenAwslcCouldNotResumeIt) {
  const std::string context_of_33_bytes = "a4230421" + std::string(66, '7');
  const std::array<std::pair<std::string_view, ByteVector>, 22> refused{{
      {"max_fragment_length", from_hex(kTls12Limited)},
      {"another encoding's version", edited(kTls12, "020101", "020102")},
      {"TLS 1.1", edited(kTls12, "02020303", "02020302")},
      {"TLS 1.3 with a cipher suite of TLS 1.2", edited(kTls12, "02020303", "02020304")},
      {"TLS 1.2 with a cipher suite of TLS 1.3", edited(kTls12, "0402c02c", "04021302")},
      {"unknown cipher suite", edited(kTls12, "0402c02c", "0402c0ff")},
      {"cipher suite of three bytes", edited(kTls12, "0402c02c", "0403c02c00")},
      {"secret of 47 bytes", edited(kTls12, "0430" + std::string(kTls12Secret.substr(0, 2)), "042f")},
      {"secret of another hash", edited(kTls13, "04021303", "04021302")},
      {"ID of 33 bytes", edited(kTls12, "0400", "0421" + std::string(66, '7'))},
      {"no time", edited(kTls12, "a10602046b0d8129", "")},
      {"time 0", edited(kTls12, "a10602046b0d8129", "a103020100")},
      {"no timeout", edited(kTls12, "a205020300a8c0", "")},
      {"negative timeout", edited(kTls12, "a205020300a8c0", "a2040202a8c0")},
      {"session id context of 33 bytes", edited(kTls12, kIdContextField, context_of_33_bytes)},
      {"negative verify result", edited(kTls12WithPeer, "a503020112", "a503020192")},
      {"certificate with an unknown version", edited(kTls12WithPeer, "a003020102", "a003020109")},
      {"identity with a zero byte", edited(kTls12, "ad03020101", "a8050403610062 ad03020101")},
      {"compression", edited(kTls12, "ad03020101", "ab03040101 ad03020101")},
      {"SRP", edited(kTls12, "ad03020101", "ac03040161 ad03020101")},
      {"raw public key", extended(from_hex(kTls12), "b403040100")},
      {"group of three bytes", edited(kTls12, "b30302011d", "b3050203010000")},
  }};
  for (const auto& [why, encoding] : refused) EXPECT_FALSE(read_openssl_session(encoding)) << why;
}

TEST(AwslcsSession, MayHaveFieldsThatOpensslHasNot) {
  const ByteVector base = tls13_of_awslc("b20302011d b50604047723cfdd");
  const ByteVector openssl = openssl_session(base, {}, {});
  ASSERT_FALSE(openssl.empty());
  // peerSignatureAlgorithm, ticketMaxEarlyData, authTimeout, earlyALPN
  EXPECT_EQ(openssl_session(extended(base, "b70402020403 b80402023800 b90502030a8c00 ba0404026832"), {}, {}),
            openssl);
  // the handshake's hash
  EXPECT_EQ(openssl_session(edited(base, "b20302011d", "ae04040277ff b20302011d"), {}, {}), openssl);
}

TEST(AwslcsSession, IsRefusedWhenOpensslCouldNotResumeIt) {
  const ByteVector base = tls12_of_awslc("b1030101ff b20302011d");
  ASSERT_FALSE(openssl_session(base, {}, {}).empty());
  const std::array<std::pair<std::string_view, ByteVector>, 11> refused{{
      {"unfinished handshake", bytes_of_text("NOT RESUMABLE")},
      {"client's", extended(base, "b603010100")},
      {"QUIC's", extended(base, "bb030101ff")},
      {"hash of a peer", edited(base, "b1030101ff", "ad220420" + std::string(64, '7') + "b1030101ff")},
      {"chain that is no SEQUENCE", extended(base, "b303020101")},
      {"damaged certificate", edited(base, kIdContextField, "a3023000 " + std::string(kIdContextField))},
      {"unknown field", extended(base, "b403020101")},
      {"ALPS", extended(base, "ba0404026832 bd020400 be020400")},
      {"over: OpenSSL would give it three seconds", edited(base, "a205020300a8c0", "a203020100")},
      {"longer than OpenSSL's clock", edited(base, "a10602046b0d8129", "a10b020900ffffffffffffffff")},
      {"age_add of three bytes", extended(base, "b5050403000000")},
  }};
  for (const auto& [why, encoding] : refused) EXPECT_TRUE(openssl_session(encoding, {}, {}).empty()) << why;
}

TEST(AwslcsSession, OfTls13HasNoExtendedMasterSecretInOpenssl) {
  const ByteVector with_it = tls13_of_awslc("b1030101ff b20302011d");
  EXPECT_EQ(openssl_session(with_it, {}, {}), openssl_session(tls13_of_awslc("b20302011d"), {}, {}));
}

/// Calls `use` with every start of the bytes, and with the bytes after every change of one of them.
template <class Use>
void damage(const ByteVector& whole, const Use& use) {
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::unique_ptr<std::byte[]> exact(std::make_unique<std::byte[]>(size));
    std::copy_n(whole.begin(), size, exact.get());
    use(Octets(exact.get(), size), true);
  }
  // A certificate takes long to read: of it and of the fields around it, each bit is changed.
  const bool has_certificate = whole.size() > 200;
  const auto next = [&](unsigned difference) { return has_certificate ? 2 * difference : difference + 1; };
  ByteVector changed = whole;
  for (std::size_t place = 0; place < whole.size(); ++place) {
    for (unsigned difference = 1; difference < 256; difference = next(difference)) {
      changed[place] = whole[place] ^ static_cast<std::byte>(difference);
      use(changed, false);
    }
    changed[place] = whole[place];
  }
}

TEST(DamagedSession, OfOpensslIsRefusedOrReadableForAwslc) {
  for (const Made& made : kMadeByOpenssl) {
    std::size_t accepted = 0;
    damage(from_hex(made.encoding), [&](Octets bytes, bool is_cut) {
      const auto opened = read_openssl_session(bytes);
      if (!opened) return;
      ASSERT_FALSE(is_cut);
      ASSERT_NE(awslc_session(opened->session), nullptr) << to_hex(bytes);
      ASSERT_FALSE(openssl_session(opened->session, {}, opened->app_data).empty()) << to_hex(bytes);
      ++accepted;
    });
    EXPECT_GT(accepted, 8U * 32) << "each value of each byte of the secret makes a session";
  }
}

TEST(DamagedSession, OfAwslcIsRefusedOrReadableForBoth) {
  for (const Made& made : kMadeByOpenssl) {
    std::size_t accepted = 0;
    damage(read_openssl_session(from_hex(made.encoding))->session, [&](Octets bytes, bool is_cut) {
      const ByteVector openssl = openssl_session(bytes, {}, {});
      if (openssl.empty()) return;
      ASSERT_FALSE(is_cut);
      ASSERT_TRUE(read_openssl_session(openssl)) << to_hex(bytes);
      ASSERT_NE(awslc_session(bytes), nullptr) << to_hex(bytes);
      ++accepted;
    });
    EXPECT_GT(accepted, 8U * 32);
  }
}

}  // namespace
}  // namespace headgate
