#pragma once

#include <atomic>
#include <memory>

#include "base/out_of_memory.h"

namespace headgate {

/// One operation with a private key that takes longer than a loop can spare: a signature, or the decryption
/// of a key exchange.
///
/// A handshake and the thread that performs the operation share it, and it owns all that it touches: the key,
/// the key's library context, the bytes that go in and those that come out. So the handshake may end while
/// the operation is under way, and the operation may be dropped unperformed.
class PrivateKeyOperation {
 public:
  PrivateKeyOperation() = default;
  virtual ~PrivateKeyOperation() = default;
  PrivateKeyOperation(const PrivateKeyOperation&) = delete;
  PrivateKeyOperation& operator=(const PrivateKeyOperation&) = delete;

  /// Performs it. Once, on any thread. Without memory for it there is no result.
  void perform() {
    static_cast<void>(done_unless_out_of_memory([this] { compute(); }));
    finished_.store(true, std::memory_order_release);
  }
  /// Whether it has been performed, well or not; the result may be read from then on. Any thread.
  [[nodiscard]] bool is_finished() const { return finished_.load(std::memory_order_acquire); }

 private:
  virtual void compute() = 0;
  std::atomic<bool> finished_{false};
};

}  // namespace headgate
