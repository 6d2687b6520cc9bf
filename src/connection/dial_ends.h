#pragma once

#include <string>

#include "backend/group.h"
#include "connection/phase.h"
#include "net/address.h"
#include "net/socket.h"

namespace headgate {

/// Between which addresses a connection to a server is made.
struct DialEnds {
  Address server;
  OwnEnd own;
  std::string why_not{};  ///< Why there is no such connection for this client; empty: there is.
};

/// The ends of a connection to the server of `choice`. The client's socket knows which address the client
/// asked for. Loop thread.
[[nodiscard]] DialEnds dial_ends(const BackendGroup& group, const Choice& choice, const Context& context);

}  // namespace headgate
