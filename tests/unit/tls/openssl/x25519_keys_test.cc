#include "tls/openssl/x25519_keys.h"

#include <array>
#include <cstring>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/proverr.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "tls/library/error_reasons.h"
#include "tls/openssl/library_objects.h"
#include "unit/tls/record/record_bytes.h"

namespace headgate {
namespace {

using Key = std::array<unsigned char, 32>;

constexpr const char* kOurs = "provider=headgate-x25519";
constexpr const char* kOpenssl = "provider=default";

Key key_from_hex(std::string_view digits) {
  const ByteVector bytes = hex(digits);
  Key key{};
  EXPECT_EQ(bytes.size(), key.size());
  std::memcpy(key.data(), bytes.data(), key.size());
  return key;
}

Key random_key() {
  Key key{};
  EXPECT_EQ(RAND_bytes(key.data(), key.size()), 1);
  return key;
}

struct X25519KeysTest : testing::Test {
  void SetUp() override {
    if (X25519Keys::implementation().empty()) GTEST_SKIP() << "lib25519 is not there";
  }

  [[nodiscard]] OSSL_LIB_CTX* context() const { return openssl_context(library.get()); }

  /// A key of one provider, from its numbers.
  PkeyPtr private_key(const char* properties, Key number) const {
    return PkeyPtr(
        EVP_PKEY_new_raw_private_key_ex(context(), "X25519", properties, number.data(), number.size()));
  }
  PkeyPtr public_key(const char* properties, Key number) const {
    return PkeyPtr(
        EVP_PKEY_new_raw_public_key_ex(context(), "X25519", properties, number.data(), number.size()));
  }
  static Key public_part(const EVP_PKEY* key) {
    Key number{};
    std::size_t size = 0;
    EXPECT_EQ(
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, number.data(), number.size(), &size),
        1);
    EXPECT_EQ(size, number.size());
    return number;
  }
  /// The shared secret; nothing: it was refused.
  std::optional<Key> exchange(const char* properties, EVP_PKEY* own, EVP_PKEY* peer) const {
    const PkeyCtxPtr derivation(EVP_PKEY_CTX_new_from_pkey(context(), own, properties));
    Key secret{};
    std::size_t size = secret.size();
    ERR_clear_error();
    const bool done = derivation && EVP_PKEY_derive_init(derivation.get()) == 1 &&
                      EVP_PKEY_derive_set_peer(derivation.get(), peer) == 1 &&
                      EVP_PKEY_derive(derivation.get(), secret.data(), &size) == 1;
    return done ? std::optional(secret) : std::nullopt;
  }
  std::optional<Key> exchange(const char* properties, const Key& own, const Key& peer) const {
    return exchange(properties, private_key(properties, own).get(), public_key(properties, peer).get());
  }

  std::unique_ptr<LibraryContext> library = LibraryContext::make().value();
};

// RFC 7748, section 5.2.
TEST_F(X25519KeysTest, ComputesTheVectorsOfTheRfc) {
  EXPECT_EQ(exchange(kOurs, key_from_hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                     key_from_hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")),
            key_from_hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"));
  EXPECT_EQ(exchange(kOurs, key_from_hex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
                     key_from_hex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493")),
            key_from_hex("95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"));
}

// RFC 7748, section 5.2: the result becomes the next scalar, the scalar the next point.
TEST_F(X25519KeysTest, ComputesTheVectorOfAThousandTurns) {
  Key scalar{9}, point{9};
  for (int turn = 0; turn < 1000; ++turn) {
    const auto result = exchange(kOurs, scalar, point);
    ASSERT_TRUE(result.has_value());
    point = scalar;
    scalar = *result;
    if (turn == 0) {
      EXPECT_EQ(scalar, key_from_hex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
    }
  }
  EXPECT_EQ(scalar, key_from_hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

// RFC 7748, section 6.1.
TEST_F(X25519KeysTest, ComputesTheExchangeOfTheRfc) {
  const Key alice = key_from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const Key bob = key_from_hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  const Key of_alice = public_part(private_key(kOurs, alice).get());
  const Key of_bob = public_part(private_key(kOurs, bob).get());
  EXPECT_EQ(of_alice, key_from_hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
  EXPECT_EQ(of_bob, key_from_hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
  const Key shared = key_from_hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  EXPECT_EQ(exchange(kOurs, alice, of_bob), shared);
  EXPECT_EQ(exchange(kOurs, bob, of_alice), shared);
}

// Any 32 bytes are a scalar and a point: clamped, taken modulo the prime, and without the highest bit.
TEST_F(X25519KeysTest, AgreesWithOpensslOnAnyBytes) {
  for (int round = 0; round < 300; ++round) {
    const Key own = random_key();
    Key peer = random_key();
    if (round % 3 == 1)
      peer.fill(0xff), peer[0] = static_cast<unsigned char>(0xec + round % 19);  // from p on
    if (round % 3 == 2) peer[31] |= 0x80;
    ASSERT_EQ(public_part(private_key(kOurs, own).get()), public_part(private_key(kOpenssl, own).get()));
    ASSERT_EQ(exchange(kOurs, own, peer), exchange(kOpenssl, own, peer)) << "round " << round;
  }
}

TEST_F(X25519KeysTest, MakesPairsWithWhichOpensslExchanges) {
  Key before{};
  for (int round = 0; round < 50; ++round) {
    const PkeyCtxPtr generation(EVP_PKEY_CTX_new_from_name(context(), "X25519", kOurs));
    EVP_PKEY* made = nullptr;
    ASSERT_EQ(EVP_PKEY_keygen_init(generation.get()), 1);
    ASSERT_EQ(EVP_PKEY_keygen(generation.get(), &made), 1);
    const PkeyPtr pair(made);
    const Key shown = public_part(pair.get());
    ASSERT_NE(shown, before);
    before = shown;
    const Key other = random_key();
    const Key of_other = public_part(private_key(kOpenssl, other).get());
    ASSERT_EQ(exchange(kOurs, pair.get(), public_key(kOurs, of_other).get()),
              exchange(kOpenssl, other, shown));
  }
}

// The points of small order, in all encodings: RFC 7748, section 6.1.
TEST_F(X25519KeysTest, RefusesASecretOfZeros) {
  for (const char* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    EXPECT_EQ(exchange(kOurs, random_key(), key_from_hex(point)), std::nullopt) << point;
    EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), PROV_R_FAILED_DURING_DERIVATION);
    EXPECT_EQ(exchange(kOpenssl, random_key(), key_from_hex(point)), std::nullopt) << point;
  }
}

TEST_F(X25519KeysTest, TakesNoKeyOfAnotherLength) {
  const std::array<unsigned char, 33> bytes{9};
  for (const std::size_t size : {std::size_t{0}, std::size_t{31}, std::size_t{33}}) {
    EXPECT_EQ(EVP_PKEY_new_raw_public_key_ex(context(), "X25519", kOurs, bytes.data(), size), nullptr);
    EXPECT_EQ(EVP_PKEY_new_raw_private_key_ex(context(), "X25519", kOurs, bytes.data(), size), nullptr);
  }
}

TEST_F(X25519KeysTest, ExchangesNothingWithHalfAKey) {
  const PkeyPtr pair = private_key(kOurs, random_key()), shown = public_key(kOurs, random_key());
  EXPECT_EQ(exchange(kOurs, shown.get(), pair.get()), std::nullopt);
  const PkeyPtr copy(EVP_PKEY_dup(pair.get()));
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(exchange(kOurs, copy.get(), shown.get()), exchange(kOurs, pair.get(), shown.get()));
  EXPECT_EQ(EVP_PKEY_eq(copy.get(), pair.get()), 1);
  EXPECT_NE(EVP_PKEY_eq(shown.get(), pair.get()), 1);
}

// What is no handshake's goes on with OpenSSL's own.
TEST_F(X25519KeysTest, IsNotUsedUnlessItIsAskedFor) {
  const KeyManagementPtr keys(EVP_KEYMGMT_fetch(context(), "X25519", nullptr));
  EXPECT_STREQ(OSSL_PROVIDER_get0_name(EVP_KEYMGMT_get0_provider(keys.get())), "default");
}

/// A handshake in memory between an SSL_CTX of `library` and one of OpenSSL's own, with X25519 before P-256,
/// which TLS 1.2 wants for the certificate.
class MemoryHandshake {
 public:
  MemoryHandshake(const LibraryContext& library, config::X25519 x25519, bool as_server, int version) {
    ours_ctx_ = library.new_ssl_ctx(TLS_method(), x25519);
    other_ctx_.reset(SSL_CTX_new(TLS_method()));
    for (SSL_CTX* one : {ours_ctx_.get(), other_ctx_.get()}) {
      SSL_CTX_set_max_proto_version(one, version);
      EXPECT_EQ(SSL_CTX_set1_groups_list(one, "X25519:P-256"), 1);
    }
    SSL_CTX* server = as_server ? ours_ctx_.get() : other_ctx_.get();
    const PkeyPtr key = new_p256_key();
    const X509Ptr certificate = certificate_of(key.get());
    EXPECT_EQ(SSL_CTX_use_certificate(server, certificate.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(server, key.get()), 1);
    ours_.reset(SSL_new(ours_ctx_.get()));
    other_.reset(SSL_new(other_ctx_.get()));
    BIO *one = nullptr, *two = nullptr;
    EXPECT_EQ(BIO_new_bio_pair(&one, 0, &two, 0), 1);
    SSL_set_bio(ours_.get(), one, one);
    SSL_set_bio(other_.get(), two, two);
    as_server ? SSL_set_accept_state(ours_.get()) : SSL_set_connect_state(ours_.get());
    as_server ? SSL_set_connect_state(other_.get()) : SSL_set_accept_state(other_.get());
  }

  [[nodiscard]] bool succeeds() {
    for (int turn = 0; turn < 10; ++turn) {
      const int one = SSL_do_handshake(ours_.get()), two = SSL_do_handshake(other_.get());
      if (one == 1 && two == 1) return true;
    }
    return false;
  }
  /// The provider of the key with which our end exchanged.
  [[nodiscard]] std::string provider() const {
    EVP_PKEY* key = nullptr;
    if (SSL_get_peer_tmp_key(ours_.get(), &key) != 1) return "none";
    const PkeyPtr owned(key);
    return OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(key));
  }

 private:
  static X509Ptr certificate_of(EVP_PKEY* key) {
    X509Ptr made(X509_new());
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
    X509_set_pubkey(made.get(), key);
    EXPECT_GT(X509_sign(made.get(), key, EVP_sha256()), 0);
    return made;
  }

  SslCtxPtr ours_ctx_, other_ctx_;
  SslPtr ours_, other_;
};

TEST_F(X25519KeysTest, DoesTheHandshakesOfBothVersionsAtBothEnds) {
  for (const auto& [x25519, provider] : {std::pair(config::X25519::kAuto, "headgate-x25519"),
                                         std::pair(config::X25519::kOpenssl, "default")}) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      for (const bool as_server : {true, false}) {
        MemoryHandshake handshake(*library, x25519, as_server, version);
        EXPECT_TRUE(handshake.succeeds()) << provider << version << as_server;
        if (as_server && version == TLS1_2_VERSION) continue;  // it has dropped the client's key
        EXPECT_EQ(handshake.provider(), provider) << version << as_server;
      }
    }
  }
  EXPECT_EQ(LibraryContext::own_x25519(), "lib25519");
}

}  // namespace
}  // namespace headgate
