#pragma once

#include "tls/library/openssl_types.h"
#include "tls/record/traffic_keys.h"

namespace headgate {

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

/// While it lives, the secrets of the handshake of `ssl` are copied into one capture (nullptr: into none).
/// Use it around the one call that drives this handshake; OpenSSL tells the secrets as it derives them,
/// AWS-LC when the handshake is done. Not nested.
class CapturingSecrets {
 public:
  CapturingSecrets(const SSL* ssl, SecretCapture* into);
  ~CapturingSecrets();
  CapturingSecrets(const CapturingSecrets&) = delete;
  CapturingSecrets& operator=(const CapturingSecrets&) = delete;

 private:
  [[maybe_unused]] const SSL* ssl_;
  [[maybe_unused]] SecretCapture* into_;
};

}  // namespace headgate
