#pragma once

#include <memory>

#include "backend/group.h"
#include "net/stream.h"
#include "snapshot/worker_snapshot.h"

namespace headgate {

/// The spare connections of a worker: they were made to servers before a client needs them. Implemented by
/// worker/spare_connections.h. Loop thread only.
class Spares {
 public:
  virtual ~Spares() = default;
  /// Takes one to the server and the address of `choice`: it is established, nothing has been said on it, and
  /// as far as our kernel knows the server has not ended it. Null: there is none.
  [[nodiscard]] virtual std::unique_ptr<Stream> take(const BackendState& backend, const Choice& choice) = 0;
  /// Descriptors have run out: ends all spares, and makes none for a while. Returns whether there were any.
  virtual bool give_up_descriptors() = 0;
};

}  // namespace headgate
