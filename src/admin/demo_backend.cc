#include "admin/demo_backend.h"

#include <csignal>
#include <cstddef>
#include <string>

#include <microhttpd.h>

#include "base/thread_signals.h"

namespace headgate {
namespace {

constexpr unsigned kPatienceSeconds = 30;

/// Called with the head, with each part of the body, which is dropped, and with the end of the request.
// NOLINTNEXTLINE(readability-function-size): the library gives its callback eight parameters.
MHD_Result greet(void*, MHD_Connection* connection, const char* path, const char* method, const char*,
                 const char*, std::size_t* body_bytes, void** seen) {
  const bool is_head = *seen == nullptr;
  const bool has_body = *body_bytes > 0;
  *seen = connection;
  *body_bytes = 0;
  if (is_head || has_body) return MHD_YES;
  std::string body = std::string("Hello from behind Headgate.\n\nYou asked for ") + method + " " + path +
                     ". TLS ended at the proxy; this backend heard plain HTTP.\n";
  MHD_Response* response = MHD_create_response_from_buffer(body.size(), body.data(), MHD_RESPMEM_MUST_COPY);
  MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
  const MHD_Result queued = MHD_queue_response(connection, MHD_HTTP_OK, response);
  MHD_destroy_response(response);
  return queued;
}

}  // namespace

Result<std::unique_ptr<DemoBackend>> DemoBackend::open() {
  const Address any_port = Address::loopback(0);
  // The thread must not take the supervisor's signals.
  const sigset_t before = block_process_signals();
  MHD_Daemon* server = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, nullptr, nullptr, &greet, nullptr,
                                        MHD_OPTION_SOCK_ADDR, any_port.data(), MHD_OPTION_CONNECTION_TIMEOUT,
                                        kPatienceSeconds, MHD_OPTION_END);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (server == nullptr) return fail(ErrorKind::kSystem, "the demo's backend cannot listen on 127.0.0.1");
  const auto port = MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT)->port;
  return std::unique_ptr<DemoBackend>(new DemoBackend(server, Address::loopback(port)));
}

DemoBackend::~DemoBackend() {
  MHD_stop_daemon(server_);
}

}  // namespace headgate
