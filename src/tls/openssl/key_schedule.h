#pragma once

#include <memory>

#include "base/result.h"
#include "tls/openssl/openssl_types.h"
#include "tls/record/traffic_keys.h"

namespace headgate {

/// The key schedules of TLS 1.3 and 1.2 as an OpenSSL provider that is part of the program: TLS13-KDF and
/// TLS1-PRF.
///
/// OpenSSL asks a provider each time it derives a secret. Deriving here saves the cost of OpenSSL's own
/// contexts, some 25 us of a handshake. It also shows the traffic secrets of TLS 1.3 as they are derived,
/// which the record layer needs to take over the records (SecretCapture). The cryptography is still
/// OpenSSL's.
///
/// It is loaded into one library context and neither replaces the other providers nor keeps them from being
/// loaded; an SSL_CTX that is made with properties() uses it. Where OpenSSL is configured for FIPS,
/// properties() is null and the FIPS provider does these derivations. It must be destroyed before its library
/// context.
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

/// The secrets of a handshake that are needed after it, as far as they have been derived.
///
/// The code that drives the handshake holds it from before the handshake begins until the records are taken
/// over, and then moves the secrets out.
struct SecretCapture {
  TrafficSecret client;      ///< Protects what the client sends.
  TrafficSecret server;      ///< Protects what the server sends.
  TrafficSecret resumption;  ///< resumption_master_secret: from it follow the keys of resumed sessions.

  [[nodiscard]] bool complete() const { return !client.empty() && !server.empty() && !resumption.empty(); }
};

/// While it lives, the secrets that a KeySchedule derives on this thread are copied into one capture
/// (nullptr: into none). Use it around the one call that drives one handshake. Not nested.
class CapturingSecrets {
 public:
  explicit CapturingSecrets(SecretCapture* into);
  ~CapturingSecrets();
  CapturingSecrets(const CapturingSecrets&) = delete;
  CapturingSecrets& operator=(const CapturingSecrets&) = delete;
};

}  // namespace headgate
