#include "admin/demo_backend.h"

#include <csignal>
#include <string>

#include <civetweb.h>

#include "base/thread_signals.h"

namespace headgate {
namespace {

int answer(mg_connection* connection, void*) {
  const mg_request_info* request = mg_get_request_info(connection);
  const std::string body = std::string("Hello from behind Headgate.\n\nYou asked for ") +
                           request->request_method + " " + request->local_uri +
                           ". TLS ended at the proxy; this backend heard plain HTTP.\n";
  mg_printf(connection,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n\r\n%s",
            body.size(), body.c_str());
  return 200;
}

}  // namespace

Result<std::unique_ptr<DemoBackend>> DemoBackend::open() {
  const char* options[] = {"listening_ports",
                           "127.0.0.1:0",
                           "num_threads",
                           "4",
                           "enable_keep_alive",
                           "yes",
                           "keep_alive_timeout_ms",
                           "5000",
                           "request_timeout_ms",
                           "30000",
                           nullptr};
  // civetweb's threads must not take the supervisor's signals.
  const sigset_t before = block_process_signals();
  const mg_callbacks callbacks{};
  mg_context* server = mg_start(&callbacks, nullptr, options);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (server == nullptr) return fail(ErrorKind::kSystem, "the demo's backend cannot listen on 127.0.0.1");
  mg_server_port port{};
  mg_get_server_ports(server, 1, &port);
  mg_set_request_handler(server, "/", &answer, nullptr);
  return std::unique_ptr<DemoBackend>(
      new DemoBackend(server, Address::loopback(static_cast<std::uint16_t>(port.port))));
}

DemoBackend::~DemoBackend() {
  mg_stop(server_);
}

}  // namespace headgate
