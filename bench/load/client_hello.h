#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string>

#include "options.h"

namespace headgate::bench {

/// The ClientHello messages of one attacker: well-formed, and made without any cryptography.
///
/// The key share is 32 random bytes, which X25519 takes as a point. The attacker does not know its logarithm
/// and cannot finish the handshake, but the server signs before it could notice.
class ClientHello {
 public:
  ClientHello(const Options& options, std::mt19937_64& random);

  /// The first message, as one TLS record. For `retry` it has no key share, so that the server answers with a
  /// HelloRetryRequest.
  [[nodiscard]] std::string first() const { return in_record(message(kind_ != FloodKind::kRetry)); }
  /// The message that answers a HelloRetryRequest, as one TLS record.
  [[nodiscard]] std::string second() const { return in_record(message(true)); }
  /// The first message without the record around it, padded to some 16,000 bytes.
  [[nodiscard]] std::string padded() const { return message(true, 15'500); }

 private:
  [[nodiscard]] static std::string in_record(const std::string& message);
  [[nodiscard]] std::string message(bool with_share, std::size_t padding_bytes = 0) const;
  [[nodiscard]] std::string extensions(bool with_share, std::size_t padding_bytes) const;
  [[nodiscard]] std::string garbage_psk() const;
  [[nodiscard]] bool is_tls12() const { return kind_ == FloodKind::kTicket; }

  FloodKind kind_;
  Signatures signatures_;
  std::string name_;
  std::string random_, session_id_, share_, ticket_, binder_;
};

}  // namespace headgate::bench
