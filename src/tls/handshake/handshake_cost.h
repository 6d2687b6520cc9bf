#pragma once

#include <cstddef>
#include <cstdint>

#include "tls/certificate/certificate_fields.h"

namespace headgate {

/// The work of the next costly step of a handshake, the most urgent first.
enum class HandshakeWork : std::uint8_t {
  kFinish,  ///< The handshake has been paid for; its end exchanges keys or verifies the peer's certificate.
  kResume,  ///< The client's ticket is ours: no signature, if its session may still be used.
  kFull,    ///< A key exchange and a signature.
};
inline constexpr std::size_t kHandshakeWorkCount = 3;

/// The cost of a step, in the terms that are known before the step is taken.
struct HandshakeCost {
  HandshakeWork work = HandshakeWork::kFull;
  KeyType key = KeyType::kP256;  ///< Of our certificate; it matters to kFull.
  std::uint16_t key_bits = 0;
  bool offloaded = false;     ///< The signature is made on another thread.
  std::uint16_t tickets = 0;  ///< The number that the client offers: OpenSSL tries one after the other.
};

}  // namespace headgate
