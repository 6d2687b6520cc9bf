#pragma once

#include <memory>

#include "base/result.h"
#include "tls/openssl/openssl_types.h"
#include "tls/record/traffic_keys.h"

namespace headgate {

/// The key schedules of TLS 1.3 and 1.2 as an OpenSSL provider that is part of the program: TLS13-KDF and
/// TLS1-PRF.
///
/// OpenSSL asks a provider each time it derives a secret. Doing that here saves what finding and making its
/// own contexts costs it, some 25 us of a handshake, and the traffic secrets of TLS 1.3 are seen as they are
/// derived, which is how the records can be taken over (SecretCapture). The cryptography is still OpenSSL's.
///
/// Loaded into one library context beside the providers that are there, which it neither replaces nor keeps
/// from being loaded; who asks with properties() gets it. Where OpenSSL is configured for FIPS nobody
/// does: then these derivations have to be the FIPS provider's. Outlives nothing: it goes before its library
/// context.
class KeySchedule {
 public:
  /// Errors: kSystem, when OpenSSL cannot load it.
  [[nodiscard]] static Result<KeySchedule> load(OSSL_LIB_CTX* library);

  /// What an SSL_CTX asks its library context for: nullptr where OpenSSL's own derivations are to be used.
  [[nodiscard]] const char* properties() const { return properties_; }

 private:
  KeySchedule(ProviderPtr provider, const char* properties)
      : provider_(std::move(provider)), properties_(properties) {}

  ProviderPtr provider_;
  const char* properties_;
};

/// The secrets that a handshake leaves behind, as far as they have been derived.
///
/// Held by whoever drives the handshake, from before it begins until the records are taken over; moved from
/// then on.
struct SecretCapture {
  TrafficSecret client;      ///< Protects what the client sends.
  TrafficSecret server;      ///< Protects what the server sends.
  TrafficSecret resumption;  ///< resumption_master_secret: from it follow the keys of resumed sessions.

  [[nodiscard]] bool complete() const { return !client.empty() && !server.empty() && !resumption.empty(); }
};

/// While it lives, those secrets that a KeySchedule derives on this thread are copied into one capture;
/// nullptr for none. So it stands around the one call that drives one handshake. Not nested.
class CapturingSecrets {
 public:
  explicit CapturingSecrets(SecretCapture* into);
  ~CapturingSecrets();
  CapturingSecrets(const CapturingSecrets&) = delete;
  CapturingSecrets& operator=(const CapturingSecrets&) = delete;
};

}  // namespace headgate
