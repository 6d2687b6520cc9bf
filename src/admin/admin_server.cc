#include "admin/admin_server.h"

#include <pthread.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <future>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <civetweb.h>

#include "admin/endpoints.h"
#include "admin/unix_door.h"
#include "base/thread_signals.h"
#include "net/fd.h"

namespace headgate {
namespace {

constexpr std::chrono::milliseconds kKnockEvery{20};

/// Undoes the changes of civetweb's start to the process's signals, and makes its threads take no signals:
/// signals are the supervisor's.
class SignalsKept {
 public:
  SignalsKept() {
    mask_ = block_process_signals();
    ::sigaction(SIGPIPE, nullptr, &sigpipe_);
    ::sigaction(SIGCHLD, nullptr, &sigchld_);
  }
  ~SignalsKept() {
    ::sigaction(SIGPIPE, &sigpipe_, nullptr);
    ::sigaction(SIGCHLD, &sigchld_, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }
  SignalsKept(const SignalsKept&) = delete;
  SignalsKept& operator=(const SignalsKept&) = delete;

 private:
  sigset_t mask_{};
  struct sigaction sigpipe_{};
  struct sigaction sigchld_{};
};

std::string_view or_empty(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

std::string head_of(const HttpResponse& response) {
  const char* words = mg_get_response_code_text(nullptr, response.status);
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " " + words + "\r\n";
  const auto add = [&head](std::string_view name, std::string_view value) {
    head.append(name).append(": ").append(value).append("\r\n");
  };
  add("Content-Type", response.content_type);
  add("Content-Length", std::to_string(response.body.size()));
  if (!response.allow.empty()) add("Allow", response.allow);
  add("Content-Security-Policy", response.content_security_policy.empty()
                                     ? std::string_view("default-src 'none'; frame-ancestors 'none'")
                                     : std::string_view(response.content_security_policy));
  add("X-Content-Type-Options", "nosniff");
  add("X-Frame-Options", "DENY");
  add("Referrer-Policy", "no-referrer");
  add("Cross-Origin-Resource-Policy", "same-origin");
  add("Cache-Control", "no-store");
  add("Connection", "close");
  return head.append("\r\n");
}

/// Tries the call that civetweb failed at, to learn the system's own reason: civetweb only logs it.
int error_of_binding(const Address& address) {
  const Fd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int reuse = 1;
  ::setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
  if (::bind(socket.number(), address.data(), address.size_bytes()) != 0) return errno;
  return ::listen(socket.number(), 1) != 0 ? errno : 0;
}

tl::unexpected<Error> cannot_listen(const Address& address, std::string_view civetweb_says) {
  const int error = error_of_binding(address);
  const std::string doing = "admin.bind: cannot listen on " + address.text();
  switch (error) {
    case 0:
      return fail(ErrorKind::kSystem, doing + ": " + std::string(civetweb_says));
    case EADDRINUSE:
      return fail(
          ErrorKind::kSystem,
          doing +
              ": the port is taken; stop what listens there, or set admin.bind to another port, or to off");
    case EACCES:
      return fail(ErrorKind::kSystem,
                  doing + ": ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher port");
    case EADDRNOTAVAIL:
      return fail(ErrorKind::kSystem, doing + ": this machine has no such address; see `ip address`");
    default:
      return fail_errno(doing, error);
  }
}

/// Civetweb 1.15 writes its error code to a given place, 1.16 into the structure itself.
template <class ErrorData>
void place_code([[maybe_unused]] ErrorData& error, [[maybe_unused]] unsigned& place) {
  if constexpr (std::is_pointer_v<decltype(error.code)>) error.code = &place;
}

}  // namespace

/// civetweb's server, and the door before it when clients come by a unix socket.
class AdminServer::Server {
 public:
  /// `door` may be null: then clients come straight to `address`.
  static Result<std::unique_ptr<Server>> start(const Address& address, std::unique_ptr<UnixDoor> door,
                                               AdminSource& source);
  ~Server() {
    if (door_) door_->close();
    if (context_ != nullptr) stop();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::uint16_t port() const {
    mg_server_port port{};
    return mg_get_server_ports(context_, 1, &port) == 1 ? static_cast<std::uint16_t>(port.port)
                                                        : std::uint16_t{0};
  }

 private:
  Server(Address address, std::unique_ptr<UnixDoor> door, AdminSource& source)
      : address_(address), source_(source), door_(std::move(door)) {}

  void stop();
  static int begin_request(mg_connection* connection);
  static int stay_silent(const mg_connection*, const char*) { return 1; }
  [[nodiscard]] HttpResponse respond(const mg_connection* connection, const mg_request_info& info);

  Address address_;
  AdminSource& source_;
  std::unique_ptr<UnixDoor> door_;
  mg_context* context_ = nullptr;
};

Result<std::unique_ptr<AdminServer::Server>> AdminServer::Server::start(const Address& address,
                                                                        std::unique_ptr<UnixDoor> door,
                                                                        AdminSource& source) {
  auto server = std::unique_ptr<Server>(new Server(address, std::move(door), source));
  const std::string port = address.text();
  const std::string threads = std::to_string(kThreads);
  const std::string patience_ms = std::to_string(kPatience.count());
  const char* options[] = {
      "listening_ports",   port.c_str(),        "num_threads", threads.c_str(), "request_timeout_ms",
      patience_ms.c_str(), "enable_keep_alive", "no",          nullptr};
  mg_callbacks callbacks{};
  callbacks.begin_request = begin_request;
  // log_access is not set: to make its line civetweb calls localtime(), whose result all threads share.
  callbacks.log_message = stay_silent;
  [[maybe_unused]] unsigned code = 0;
  char text[256] = "";
  mg_error_data error{};
  place_code(error, code);
  error.text = text;
  error.text_buffer_size = sizeof text;
  mg_init_data init{&callbacks, server.get(), options};
  const SignalsKept kept;
  server->context_ = mg_start2(&init, &error);
  if (server->context_ == nullptr) return cannot_listen(address, text);
  if (server->door_) server->door_->serve(server->port());
  return server;
}

/// civetweb's accepting thread looks only every two seconds whether it should end, unless a client connects.
void AdminServer::Server::stop() {
  Address own = address_;
  own.set_port(port());
  const auto stopped = std::async(std::launch::async, [this] { mg_stop(context_); });
  do {
    const Fd knock(::socket(own.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    static_cast<void>(::connect(knock.number(), own.data(), own.size_bytes()));
  } while (stopped.wait_for(kKnockEvery) != std::future_status::ready);
}

int AdminServer::Server::begin_request(mg_connection* connection) {
  const mg_request_info& info = *mg_get_request_info(connection);
  const HttpResponse response = static_cast<Server*>(info.user_data)->respond(connection, info);
  const std::string head = head_of(response);
  mg_write(connection, head.data(), head.size());
  if (or_empty(info.request_method) != "HEAD")
    mg_write(connection, response.body.data(), response.body.size());
  return response.status;
}

HttpResponse AdminServer::Server::respond(const mg_connection* connection, const mg_request_info& info) {
  if (door_ && !door_->came_through(static_cast<std::uint16_t>(info.remote_port))) {
    return {.status = 403, .body = "the admin endpoint is on a unix socket\n"};
  }
  return answer({.method = or_empty(info.request_method),
                 .path = or_empty(info.local_uri),
                 .query = or_empty(info.query_string),
                 .host = or_empty(mg_get_header(connection, "Host")),
                 .origin = or_empty(mg_get_header(connection, "Origin"))},
                source_);
}

Result<std::unique_ptr<AdminServer>> AdminServer::open(const Address& bind, AdminSource& source) {
  std::unique_ptr<UnixDoor> door;
  if (bind.is_unix()) {
    auto opened = UnixDoor::open(bind);
    if (!opened) return tl::unexpected(opened.error());
    door = std::move(*opened);
  }
  auto server = Server::start(bind.is_unix() ? Address::loopback(0) : bind, std::move(door), source);
  if (!server) return tl::unexpected(server.error());
  Address bound = bind;
  if (!bind.is_unix()) bound.set_port((*server)->port());
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(*server), bound));
}

AdminServer::AdminServer(std::unique_ptr<Server> server, Address bound)
    : server_(std::move(server)), bound_(bound) {}

AdminServer::~AdminServer() = default;

}  // namespace headgate
