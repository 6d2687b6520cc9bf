#include "tls/library/ssl_options.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include <openssl/aead.h>

namespace headgate {
namespace {

// That of OpenSSL, so that a client gets the same suite from both.
constexpr const char* kDefaultCipherSuites =
    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";

bool is_of_tls13(const SSL_CIPHER* cipher) {
  return SSL_CIPHER_get_min_version(cipher) == TLS1_3_VERSION;
}
bool is_chacha(const SSL_CIPHER* cipher) {
  return SSL_CIPHER_get_cipher_nid(cipher) == NID_chacha20_poly1305;
}

/// What a client offers and its server has.
class CipherChoice {
 public:
  explicit CipherChoice(const SSL_CLIENT_HELLO& hello) : hello_(hello) {}

  /// Whether the client lists ChaCha20 before every other cipher that the library knows.
  [[nodiscard]] bool prefers_chacha() const {
    for (std::size_t i = 0; i < offered(); ++i) {
      if (const SSL_CIPHER* known = SSL_get_cipher_by_value(offer(i)); known != nullptr)
        return is_chacha(known);
    }
    return false;
  }
  /// The suite of TLS 1.3 that the server wants most; nullptr: they share none.
  [[nodiscard]] const SSL_CIPHER* wanted_suite(bool chacha_first) const {
    const SSL_CIPHER* wanted = nullptr;
    for (const SSL_CIPHER* cipher : own()) {
      if (!is_of_tls13(cipher) || !offers(cipher)) continue;
      if (wanted == nullptr || (chacha_first && is_chacha(cipher) && !is_chacha(wanted))) wanted = cipher;
    }
    return wanted;
  }
  /// The suite that AWS-LC takes: the first of the client's that the server has.
  [[nodiscard]] const SSL_CIPHER* first_suite() const {
    for (std::size_t i = 0; i < offered(); ++i) {
      for (const SSL_CIPHER* cipher : own()) {
        if (is_of_tls13(cipher) && SSL_CIPHER_get_protocol_id(cipher) == offer(i)) return cipher;
      }
    }
    return nullptr;
  }
  /// The server's ciphers of TLS 1.2 as a list, those with ChaCha20 first.
  [[nodiscard]] std::string chacha_before_others() const {
    std::string list;
    for (const bool chacha : {true, false}) {
      for (const SSL_CIPHER* cipher : own()) {
        if (is_of_tls13(cipher) || is_chacha(cipher) != chacha) continue;
        list.append(list.empty() ? "" : ":").append(SSL_CIPHER_get_name(cipher));
      }
    }
    return list;
  }

 private:
  /// The library makes this list anew when one is set.
  [[nodiscard]] const STACK_OF(SSL_CIPHER) * own() const { return SSL_get_ciphers(hello_.ssl); }
  [[nodiscard]] std::size_t offered() const { return hello_.cipher_suites_len / 2; }
  [[nodiscard]] std::uint16_t offer(std::size_t i) const {
    const std::uint8_t* at = hello_.cipher_suites + 2 * i;
    return static_cast<std::uint16_t>(at[0] << 8U | at[1]);
  }
  [[nodiscard]] bool offers(const SSL_CIPHER* cipher) const {
    for (std::size_t i = 0; i < offered(); ++i) {
      if (offer(i) == SSL_CIPHER_get_protocol_id(cipher)) return true;
    }
    return false;
  }

  const SSL_CLIENT_HELLO& hello_;
};

// Only a client that wants something else costs anything: the functions that set a list take 1 to 4 us.
ssl_select_cert_result_t choose_ciphers(const SSL_CLIENT_HELLO* hello) {
  const CipherChoice choice(*hello);
  const bool chacha_first = choice.prefers_chacha();
  const SSL_CIPHER* wanted = choice.wanted_suite(chacha_first);
  const bool as_wanted = wanted == nullptr || (EVP_has_aes_hardware() != 0 && wanted == choice.first_suite());
  if (!as_wanted && SSL_set_ciphersuites(hello->ssl, SSL_CIPHER_standard_name(wanted)) != 1)
    return ssl_select_cert_error;
  if (!chacha_first) return ssl_select_cert_success;
  const std::string list = choice.chacha_before_others();
  return list.empty() || SSL_set_cipher_list(hello->ssl, list.c_str()) == 1 ? ssl_select_cert_success
                                                                            : ssl_select_cert_error;
}

}  // namespace

// In TLS 1.3 AWS-LC lets the client's order decide in any case, and it has no option for ChaCha20.
bool decide_ciphers(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_select_certificate_cb(context, choose_ciphers);
  return SSL_CTX_set_ciphersuites(context, kDefaultCipherSuites) == 1;
}

bool take_every_cipher(SSL_CTX* context) {
  return SSL_CTX_set_cipher_list(context, "ALL") == 1;  // those of TLS 1.3 are never fewer
}

// Its defaults verify no Ed25519, and sign with SHA-1 for a client of TLS 1.2 that offers nothing else.
void choose_signatures(SSL_CTX* context) {
  constexpr std::array<std::uint16_t, 10> kSchemes{
      SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384,
      SSL_SIGN_ECDSA_SECP521R1_SHA512, SSL_SIGN_ED25519,
      SSL_SIGN_RSA_PSS_RSAE_SHA256,    SSL_SIGN_RSA_PSS_RSAE_SHA384,
      SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA256,
      SSL_SIGN_RSA_PKCS1_SHA384,       SSL_SIGN_RSA_PKCS1_SHA512};
  SSL_CTX_set_verify_algorithm_prefs(context, kSchemes.data(), kSchemes.size());
  SSL_CTX_set_signing_algorithm_prefs(context, kSchemes.data(), kSchemes.size());
}

// Its defaults, and P-521.
void offer_every_group(SSL_CTX* context) {
  SSL_CTX_set1_groups_list(context,
                           "X25519MLKEM768:SecP256r1MLKEM768:SecP384r1MLKEM1024:X25519:P-256:P-384:P-521");
}

bool can_present(KeyType type) {
  switch (type) {
    case KeyType::kP256:
    case KeyType::kP384:
    case KeyType::kP521:
    case KeyType::kRsa:
    case KeyType::kEd25519:
      return true;
    default:
      return false;
  }
}

bool minds_key_usage(KeyType type) {
  return !is_rsa(type);
}

// Its words for many ciphers, "RSA" for one, mean 3DES too.
const char* never_offered() {
  return ":!3DES";
}

bool has_security_levels() {
  return false;
}

}  // namespace headgate
