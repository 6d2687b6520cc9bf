#pragma once

#include "connection/connection.h"
#include "snapshot/worker_snapshot.h"
#include "worker/worker.h"

/// Ends connections whose client has shown no certificate, where the rules in force require one: the rules
/// that let the client in were older. Rules with `cut_live: off` and a dry run end no connection. PeerWatch
/// does the same for clients with a certificate. Loop thread of the worker.
namespace headgate {

/// Whether rules of `snapshot` require certificates, and did not, or not with `cut_live`, before.
[[nodiscard]] bool may_refuse_clients_without_certificate(const WorkerSnapshot& snapshot);
/// Whether the rules of `snapshot` refuse the client of this connection, because it has shown no certificate.
/// False while the handshake is not done, and for TLS that passes through.
[[nodiscard]] bool is_refused_without_certificate(const Connection& connection,
                                                  const WorkerSnapshot& snapshot);
/// Looks at all connections in slices, and ends those that the rules in force refuse so.
void end_clients_without_certificate(Worker& worker);

}  // namespace headgate
