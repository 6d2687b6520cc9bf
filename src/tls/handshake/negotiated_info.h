#pragma once

#include <string>
#include <string_view>

#include "tls/certificate/certificate.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// The parameters that a finished handshake settled on. The views point to constants.
struct NegotiatedInfo {
  std::string_view version;                  ///< "TLSv1.3"
  std::string_view group;                    ///< "x25519"; empty where no key was exchanged.
  std::string_view cipher;                   ///< IANA name.
  std::string_view openssl_cipher;           ///< OpenSSL's name of it.
  std::string_view signature_scheme;         ///< By which we signed: "rsa_pss_rsae_sha256"; empty: nothing.
  std::string_view client_signature_scheme;  ///< By which the client signed; "other": by one without a name.
  std::string_view certificate_signature;    ///< By which our certificate is signed: "ecdsa-with-SHA256".
  std::string alpn;
  bool resumed = false;
};
[[nodiscard]] NegotiatedInfo negotiated_info(SSL* ssl, const StoredCertificate& certificate);

/// "EC256", "RSA2048": the key's algorithm and bits, as a PROXY header has them.
[[nodiscard]] std::string key_algorithm_text(const StoredCertificate& certificate);

/// "EC-P-256", "RSA-2048", ...: the key_type label. A constant.
[[nodiscard]] std::string_view key_type_word(const StoredCertificate& certificate);

}  // namespace headgate
