#pragma once

#include <memory>

#include "base/result.h"
#include "tls/openssl/provider_types.h"

namespace headgate {

/// The key schedules of TLS 1.3 and 1.2 as an OpenSSL provider that is part of the program: TLS13-KDF and
/// TLS1-PRF.
///
/// OpenSSL asks a provider each time it derives a secret. Deriving here saves the cost of OpenSSL's own
/// contexts, some 25 us of a handshake. It also shows the traffic secrets of TLS 1.3 as they are derived,
/// which the record layer needs to take over the records (tls/library/secret_capture.h). The cryptography is
/// still OpenSSL's.
///
/// It is loaded into one library context and neither replaces the other providers nor keeps them from being
/// loaded; an SSL_CTX that is made with properties() uses it. Where OpenSSL is configured for FIPS, it is not
/// loaded, properties() is null, and the FIPS provider does these derivations. It must be destroyed before
/// its library context.
class KeySchedule {
 public:
  /// Errors: kSystem, when OpenSSL cannot load it.
  [[nodiscard]] static Result<KeySchedule> load(OSSL_LIB_CTX* library);

  /// The property query for an SSL_CTX; nullptr where OpenSSL's own derivations must be used.
  [[nodiscard]] const char* properties() const { return properties_; }

 private:
  KeySchedule(ProviderPtr provider, const char* properties)
      : provider_(std::move(provider)), properties_(properties) {}

  ProviderPtr provider_;
  const char* properties_;
};

}  // namespace headgate
