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
/// Attackers that send a ClientHello, wait for the server's flight and leave: `connections` at once, or at a
/// fixed rate.
void run_flood(const Options& options);
/// Connections that send a ClientHello one byte at a time and never finish it. Says in a line when they are
/// there.
void run_drip(const Options& options);
/// `count` clients that arrive one each `interval`, shake hands and exchange 64 bytes: how many of them are
/// served in time.
void run_honest(const Options& options);
/// 64 bytes there and back on established connections, one each `interval`, for as many seconds as each line
/// of stdin says; a report for each line.
void run_echo(const Options& options);

}  // namespace headgate::bench
