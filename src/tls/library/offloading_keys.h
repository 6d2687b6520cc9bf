#pragma once

#include <memory>

#include "tls/library/private_key_operation.h"

namespace headgate {

/// While it lives, the operations of offloaded keys that a handshake on this thread needs are written to
/// `into`, and the handshake pauses. It stands around the one call that drives one handshake; outside it an
/// offloaded key is used at once. Not nested.
class OffloadingKeys {
 public:
  explicit OffloadingKeys(std::shared_ptr<PrivateKeyOperation>* into);
  ~OffloadingKeys();
  OffloadingKeys(const OffloadingKeys&) = delete;
  OffloadingKeys& operator=(const OffloadingKeys&) = delete;

  /// Writes `operation` to where the one on this thread says; false where there is none.
  [[nodiscard]] static bool hand_out(const std::shared_ptr<PrivateKeyOperation>& operation);
};

}  // namespace headgate
