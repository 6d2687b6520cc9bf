#include "connection/phase.h"

namespace headgate {
namespace {

// The bytes that a client may still send while it reads our last bytes; after them it is cut off.
constexpr int kMaxReads = 16;

}  // namespace

// Closing a descriptor with unread bytes in it resets the connection, and the reset destroys the bytes that
// we have sent last. So we end our direction, and read until the client has ended its own.
Step step(Shutdown& phase, Context& context) {
  Stream& client = *context.sides.client;
  const IoStatus ended = client.end_writing();
  if (ended == IoStatus::kWantWrite) return Wait{.client = Interest::kWrite};
  if (ended == IoStatus::kFailed) return Close{phase.reason};
  for (int i = 0; i < kMaxReads; ++i) {
    const IoStatus got = context.services.transport.discard(client, context.services.buffers.plaintext);
    if (got == IoStatus::kWantRead) return Wait{.client = Interest::kRead};
    if (got != IoStatus::kDone) break;
  }
  return Close{phase.reason};
}

}  // namespace headgate
