#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tls/record/aead_contexts.h"
#include "tls/record/traffic_keys.h"

namespace headgate {

/// The whole state of one direction of a TLS 1.3 connection, with which another process can go on. Moved, not
/// copied, because of the secret.
struct DirectionState {
  RecordSuite suite = RecordSuite::kAes128GcmSha256;
  TrafficSecret secret;               ///< Of the suite's length.
  std::uint64_t sequence_number = 0;  ///< Of the next record under this secret.
};

/// One direction of a connection: secret, key, IV and sequence number, some 120 bytes.
///
/// The worker owns the context of its key. The destructor wipes keys and context.
class TrafficDirection {
 public:
  TrafficDirection(AeadContexts& contexts, AeadUse use, DirectionState state);
  ~TrafficDirection() { retire(); }
  TrafficDirection(const TrafficDirection&) = delete;
  TrafficDirection& operator=(const TrafficDirection&) = delete;

  /// The context of the current key. Valid until another direction asks for its own.
  [[nodiscard]] AeadContext& context() { return contexts_.context(suite_, key_id_, use_, keys_); }
  /// The nonce of the record with the current sequence number. RFC 8446, section 5.3.
  [[nodiscard]] Nonce nonce() const;
  [[nodiscard]] std::uint64_t sequence_number() const { return sequence_number_; }
  /// Call it when the record with the current sequence number is done.
  void advance() { ++sequence_number_; }

  /// KeyUpdate: the next secret, its keys, sequence number 0. RFC 8446, section 4.6.3.
  void update_keys();

  /// Wipes secret, keys and context when no record follows. Only the destructor may be called then.
  void retire();

  [[nodiscard]] DirectionState state() const;

 private:
  void install(TrafficSecret secret);

  AeadContexts& contexts_;
  KeyId key_id_ = 0;
  std::uint64_t sequence_number_ = 0;
  TrafficKeys keys_;
  TrafficSecret secret_;
  RecordSuite suite_;
  AeadUse use_;
};

}  // namespace headgate
