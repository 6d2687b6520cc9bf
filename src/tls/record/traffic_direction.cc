#include "tls/record/traffic_direction.h"

#include <utility>

#include "base/check.h"

namespace headgate {

TrafficDirection::TrafficDirection(AeadContexts& contexts, AeadUse use, DirectionState state)
    : contexts_(contexts), sequence_number_(state.sequence_number), suite_(state.suite), use_(use) {
  HG_CHECK(state.secret.bytes().size() == size_bytes(row(suite_).hash));
  install(std::move(state.secret));
}

void TrafficDirection::retire() {
  contexts_.forget(suite_, key_id_);
  key_id_ = 0;
  keys_.wipe();
  secret_.wipe();
}

Nonce TrafficDirection::nonce() const {
  Nonce nonce;
  for (std::size_t i = 0; i < nonce.size(); ++i) nonce[i] = std::to_integer<unsigned char>(keys_.iv[i]);
  for (std::size_t i = 0; i < sizeof sequence_number_; ++i) {
    nonce[kIvBytes - 1 - i] ^= static_cast<unsigned char>(sequence_number_ >> (8 * i));
  }
  return nonce;
}

void TrafficDirection::update_keys() {
  contexts_.forget(suite_, key_id_);
  install(next_secret(suite_, secret_));
  sequence_number_ = 0;
}

DirectionState TrafficDirection::state() const {
  return {.suite = suite_, .secret = secret_.clone(), .sequence_number = sequence_number_};
}

void TrafficDirection::install(TrafficSecret secret) {
  secret_ = std::move(secret);
  derive_keys(suite_, secret_, keys_);
  key_id_ = contexts_.new_key_id();
}

}  // namespace headgate
