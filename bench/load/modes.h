#pragma once

#include "options.h"

/// One function for each mode of the program; each prints its report and returns.
namespace headgate::bench {

/// Serves the requests of tls_connection.h without TLS, on 127.0.0.1, until it is ended.
void run_backend(const Options& options);
/// Connections that come, shake hands, exchange 64 bytes and go, so many at once: CPU time of each.
void run_handshakes(const Options& options);
/// 64 bytes there and back on established connections.
void run_ping_pong(const Options& options);
/// Bulk in one direction.
void run_upload(const Options& options);
void run_download(const Options& options);
/// Opens as many idle connections as each line of stdin says, and says when they are there; ends with stdin.
void run_idle(const Options& options);
/// Clients that arrive at a fixed rate, whether or not those before were served, and give up when out of
/// patience.
void run_storm(const Options& options);

}  // namespace headgate::bench
