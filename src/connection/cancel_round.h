#pragma once

#include <cstddef>
#include <vector>

#include "net/address.h"
#include "snapshot/worker_snapshot.h"

namespace headgate {

/// A request of a PostgreSQL client to cancel a query, on its way to the servers.
struct CancelRound {
  struct Target {
    BackendState* backend = nullptr;
    std::size_t index = 0;  ///< Of the server in the backend's group.
    Address address;
  };
  std::vector<std::byte> request;
  std::vector<Target> targets;  ///< In the order in which they get the request.
  std::size_t next = 0;         ///< The first target that has not had its turn.
  std::size_t delivered = 0;    ///< The targets that have got the request.
  bool sent = false;            ///< The request is with the stream to the server at hand.
};

}  // namespace headgate
