#include "admin/admin_server.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <microhttpd.h>

#include "admin/answer_threads.h"
#include "admin/endpoints.h"
#include "admin/visits.h"
#include "base/ascii.h"
#include "base/check.h"
#include "base/thread_signals.h"
#include "base/units.h"
#include "net/socket.h"

namespace headgate {
namespace {

constexpr int kBacklog = 128;
/// Between accepts, connections that are there get their turn.
constexpr int kAcceptsPerTurn = 16;
/// Descriptors for clients of the endpoint at a time when connections hold all others of the process.
constexpr std::size_t kSpares = 4;
/// The process or the machine has no descriptor or memory left for another connection.
constexpr std::chrono::milliseconds kPauseWhenNoneLeft{100};

constexpr int kStepOfLeaveMs = 5;

// However many answers are in the making, some connection can be cut to make room for another.
constexpr AnswerThreads::Size kProbeThreads{.threads = 1, .waiting = 12};
constexpr AnswerThreads::Size kQuestionThreads{.threads = 2, .waiting = 12};
constexpr AnswerThreads::Size kReloadThreads{.threads = 2, .waiting = 12};
constexpr AnswerThreads::Size kChangeThreads{.threads = 1, .waiting = 12};
constexpr std::size_t most_made(std::initializer_list<AnswerThreads::Size> kinds) {
  std::size_t sum = 0;
  for (const AnswerThreads::Size& kind : kinds) sum += kind.threads + kind.waiting;
  return sum;
}
static_assert(most_made({kProbeThreads, kQuestionThreads, kReloadThreads, kChangeThreads}) < Visits::kMax);

struct DaemonStop {
  void operator()(MHD_Daemon* daemon) const { MHD_stop_daemon(daemon); }
};
using DaemonPtr = std::unique_ptr<MHD_Daemon, DaemonStop>;

struct ResponseFree {
  void operator()(MHD_Response* response) const { MHD_destroy_response(response); }
};
using ResponsePtr = std::unique_ptr<MHD_Response, ResponseFree>;

std::string header(MHD_Connection* connection, const char* name) {
  const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return value == nullptr ? std::string() : std::string(value);
}

MHD_Result count_host(void* count, MHD_ValueKind, const char* name, const char*) {
  constexpr std::string_view kHost = "host";
  *static_cast<int*>(count) += ascii_lower(name) == kHost ? 1 : 0;
  return MHD_YES;
}

HttpRequest::HostLine host_line(MHD_Connection* connection, std::string_view version) {
  int count = 0;
  MHD_get_connection_values(connection, MHD_HEADER_KIND, count_host, &count);
  if (count == 1) return HttpRequest::HostLine::kOne;
  const bool may_lack = count == 0 && version == "HTTP/1.0";
  return may_lack ? HttpRequest::HostLine::kNone : HttpRequest::HostLine::kFaulty;
}

/// The token that a request shows: a program as a bearer (RFC 6750, section 2.1), a browser as a password.
std::string token_of(MHD_Connection* connection) {
  constexpr std::string_view kBearer = "bearer ";
  const std::string shown = header(connection, "Authorization");
  if (ascii_lower(shown.substr(0, kBearer.size())) == kBearer) return shown.substr(kBearer.size());
  char* password = nullptr;
  char* user = MHD_basic_auth_get_username_password(connection, &password);
  std::string token = password == nullptr ? "" : password;
  MHD_free(user);
  MHD_free(password);
  return token;
}

bool says_large_body(MHD_Connection* connection) {
  const std::string text = header(connection, "Content-Length");
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  return error == std::errc::result_out_of_range || bytes > AdminServer::kMaxBodyBytes;
}

void add_headers(MHD_Response* to, const HttpResponse& response) {
  const auto add = [to](const char* name, const std::string& value) {
    MHD_add_response_header(to, name, value.c_str());
  };
  add("Content-Type", response.content_type);
  if (!response.allow.empty()) add("Allow", response.allow);
  if (response.status == MHD_HTTP_UNAUTHORIZED) {
    add("WWW-Authenticate", "Basic realm=\"headgate\", charset=\"UTF-8\"");
    add("WWW-Authenticate", "Bearer realm=\"headgate\"");
  }
  add("Content-Security-Policy", response.content_security_policy.empty()
                                     ? "default-src 'none'; frame-ancestors 'none'"
                                     : response.content_security_policy);
  add("X-Content-Type-Options", "nosniff");
  add("X-Frame-Options", "DENY");
  add("Referrer-Policy", "no-referrer");
  add("Cross-Origin-Resource-Policy", "same-origin");
  add("Cache-Control", "no-store");
  add("Connection", "close");
}

int milliseconds_until(TimePoint when) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

}  // namespace

/// libmicrohttpd's daemon without a listening socket and without a thread: `thread_` accepts, gives it the
/// connections, and runs it.
class AdminServer::Server {
 public:
  Server(Fd listening, Fd wake, AdminSource& source, AdminOffer offer)
      : at_{local_address(listening.number()), offer},
        source_(source),
        listening_(std::move(listening)),
        wake_(std::move(wake)) {}
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] Result<void> start();
  [[nodiscard]] const Address& bound_address() const { return at_.bound; }
  [[nodiscard]] const Fd& listening() const { return listening_; }

 private:
  enum class Accepts : bool { kNo, kYes };

  static void on_connection(void* self, MHD_Connection*, void** visit, MHD_ConnectionNotificationCode);
  static void* on_target(void*, const char* target, MHD_Connection* connection);
  static MHD_Result on_request(void* self, MHD_Connection*, const char* path, const char* method,
                               const char* version, const char* body, std::size_t* body_bytes, void**);

  void run();
  [[nodiscard]] bool turn(Accepts accepts);
  void leave();
  [[nodiscard]] int patience_ms() const;
  void accept_some();
  void resume(const Visit& visit);
  void wake();
  void fall_asleep();
  [[nodiscard]] bool give_up_spare();
  void keep_spares();
  [[nodiscard]] MHD_Result advance(Visit& visit, const char* method, const char* version,
                                   std::size_t& body_bytes);
  void have_answered(Visit& visit);
  [[nodiscard]] MHD_Result respond(Visit& visit);
  [[nodiscard]] AnswerThreads& threads_for(AnswerKind kind);

  AdminAddress at_;
  AdminSource& source_;
  Fd listening_, wake_;
  std::atomic<bool> ends_ = false;
  std::vector<Fd> spares_;
  TimePoint accept_again_{};
  Visits visits_;
  DaemonPtr daemon_;  // after the visits: it ends them
  AnswerThreads probes_{kProbeThreads}, questions_{kQuestionThreads}, reloads_{kReloadThreads},
      changes_{kChangeThreads};
  std::thread thread_;
};

Result<void> AdminServer::Server::start() {
  constexpr unsigned kFlags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
  daemon_.reset(MHD_start_daemon(kFlags, 0, nullptr, nullptr, &Server::on_request, this,  //
                                 MHD_OPTION_NOTIFY_CONNECTION, &Server::on_connection, this,
                                 MHD_OPTION_URI_LOG_CALLBACK, &Server::on_target, this,
                                 MHD_OPTION_CONNECTION_LIMIT, static_cast<unsigned>(2 * Visits::kMax),
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, kMaxHeadBytes, MHD_OPTION_END));
  if (!daemon_) return fail_errno("cannot start the HTTP server of the admin endpoint", errno);
  for (auto [threads, name] :
       {std::pair(&probes_, "admin-probes"), std::pair(&questions_, "admin-questions"),
        std::pair(&reloads_, "admin-reloads"), std::pair(&changes_, "admin-changes")}) {
    if (auto started = threads->start(name); !started) return started;
  }
  keep_spares();
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    return fail(ErrorKind::kSystem, std::string("cannot start the admin endpoint's thread: ") + error.what());
  }
  return {};
}

// The thread ends when the clients have left. The answers under way then are waited for, since their threads
// use this object, and their clients get them.
AdminServer::Server::~Server() {
  ends_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
  for (AnswerThreads* threads : {&probes_, &questions_, &reloads_, &changes_}) threads->close();
  if (!daemon_) return;
  for (const Visit* visit : visits_.waiting()) MHD_resume_connection(visit->connection);
  leave();
}

void AdminServer::Server::run() {
  block_process_signals();
  pthread_setname_np(pthread_self(), "admin");
  while (turn(Accepts::kYes)) {
  }
  leave();
}

void AdminServer::Server::leave() {
  const TimePoint until = Clock::now() + kTimeToLeave;
  while (!visits_.empty() && Clock::now() < until) static_cast<void>(turn(Accepts::kNo));
}

/// False when the server has to end.
bool AdminServer::Server::turn(Accepts accepts) {
  const bool may_accept = accepts == Accepts::kYes && Clock::now() >= accept_again_;
  const auto* info = MHD_get_daemon_info(daemon_.get(), MHD_DAEMON_INFO_EPOLL_FD);
  std::array<pollfd, 3> ready{{{info->epoll_fd, POLLIN, 0},
                               {may_accept ? listening_.number() : -1, POLLIN, 0},
                               {wake_.number(), POLLIN, 0}}};
  const int longest_ms = accepts == Accepts::kYes ? patience_ms() : kStepOfLeaveMs;
  ::poll(ready.data(), ready.size(), longest_ms);
  if (ready[2].revents != 0) fall_asleep();
  if (ready[1].revents != 0) accept_some();
  MHD_run(daemon_.get());
  if (ready[1].revents == 0) keep_spares();
  visits_.cut_overdue(Clock::now());
  return !ends_;
}

/// The answer of `visit` is there. Any thread; `visit` may be gone afterwards. libmicrohttpd's own signal of
/// a resumed connection reaches no poll() outside of the library.
void AdminServer::Server::resume(const Visit& visit) {
  MHD_resume_connection(visit.connection);
  wake();
}

void AdminServer::Server::wake() {
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_.number(), &one, sizeof one) == sizeof one);
}

void AdminServer::Server::fall_asleep() {
  std::uint64_t times = 0;
  static_cast<void>(::read(wake_.number(), &times, sizeof times) == sizeof times);
}

int AdminServer::Server::patience_ms() const {
  MHD_UNSIGNED_LONG_LONG of_daemon = 0;
  if (MHD_get_timeout(daemon_.get(), &of_daemon) == MHD_YES && of_daemon == 0) return 0;
  std::optional<TimePoint> next = visits_.next_deadline();
  if (accept_again_ > Clock::now()) next = next ? std::min(*next, accept_again_) : accept_again_;
  return next ? milliseconds_until(*next) : -1;
}

void AdminServer::Server::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    auto* address = reinterpret_cast<sockaddr*>(&from);
    Fd client(::accept4(listening_.number(), address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client) {
      const bool none_left = is_shortage(errno);
      if (none_left && !give_up_spare()) accept_again_ = Clock::now() + kPauseWhenNoneLeft;
      return;
    }
    visits_.make_room();
    MHD_add_connection(daemon_.get(), client.release(), address, size);  // closes it where it fails
  }
}

/// The next turn accepts with the descriptor that this frees.
bool AdminServer::Server::give_up_spare() {
  if (spares_.empty()) return false;
  spares_.pop_back();
  return true;
}

void AdminServer::Server::keep_spares() {
  while (spares_.size() < kSpares) {
    Fd spare(::fcntl(wake_.number(), F_DUPFD_CLOEXEC, 3));
    if (!spare) return;
    spares_.push_back(std::move(spare));
  }
}

void AdminServer::Server::on_connection(void* self, MHD_Connection* connection, void** visit,
                                        MHD_ConnectionNotificationCode what) {
  auto& server = *static_cast<Server*>(self);
  if (what == MHD_CONNECTION_NOTIFY_CLOSED) return server.visits_.end(*static_cast<Visit*>(*visit));
  const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  *visit = &server.visits_.begin(connection, info->connect_fd, Clock::now());
}

void* AdminServer::Server::on_target(void*, const char* target, MHD_Connection* connection) {
  const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  static_cast<Visit*>(info->socket_context)->target = target;
  return nullptr;
}

// NOLINTNEXTLINE(readability-function-size): the library gives its callback eight parameters.
MHD_Result AdminServer::Server::on_request(void* self, MHD_Connection* connection, const char*,
                                           const char* method, const char* version, const char*,
                                           std::size_t* body_bytes, void**) {
  const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return static_cast<Server*>(self)->advance(*static_cast<Visit*>(info->socket_context), method, version,
                                             *body_bytes);
}

/// Called with the head, then with each part of the body, then with the end of the request, and again when
/// the answer is there. No request needs a body: its bytes are dropped.
MHD_Result AdminServer::Server::advance(Visit& visit, const char* method, const char* version,
                                        std::size_t& body_bytes) {
  if (visit.stage == Visit::Stage::kWaits) return visit.response ? respond(visit) : MHD_NO;
  if (!std::exchange(visit.head_seen, true)) {
    if (!says_large_body(visit.connection)) return MHD_YES;
    visit.response = body_too_large(kMaxBodyBytes);
    return respond(visit);
  }
  if (body_bytes > 0) {
    visit.body_bytes += std::exchange(body_bytes, 0);
    return visit.body_bytes <= kMaxBodyBytes ? MHD_YES : MHD_NO;
  }
  visit.method = method;
  visit.host = header(visit.connection, "Host");
  visit.host_line = host_line(visit.connection, version);
  visit.origin = header(visit.connection, "Origin");
  visit.fetch_site = header(visit.connection, "Sec-Fetch-Site");
  visit.fetch_mode = header(visit.connection, "Sec-Fetch-Mode");
  visit.token = token_of(visit.connection);
  have_answered(visit);
  return MHD_YES;
}

void AdminServer::Server::have_answered(Visit& visit) {
  visits_.waits(visit);
  MHD_suspend_connection(visit.connection);
  const auto make = [this, &visit] {
    visit.response = answer({.method = visit.method,
                             .target = visit.target,
                             .host = visit.host,
                             .host_line = visit.host_line,
                             .origin = visit.origin,
                             .fetch_site = visit.fetch_site,
                             .fetch_mode = visit.fetch_mode,
                             .token = visit.token},
                            at_, source_);
    resume(visit);
  };
  if (threads_for(kind_of(visit.target)).offer(make)) return;
  visit.response = too_busy();
  resume(visit);
}

MHD_Result AdminServer::Server::respond(Visit& visit) {
  HttpResponse& answer = *visit.response;
  // The visit, which has the bytes, outlives the answer.
  const ResponsePtr response(
      MHD_create_response_from_buffer(answer.body.size(), answer.body.data(), MHD_RESPMEM_PERSISTENT));
  if (!response) return MHD_NO;
  add_headers(response.get(), answer);
  visits_.takes(visit, Clock::now());
  return MHD_queue_response(visit.connection, static_cast<unsigned>(answer.status), response.get());
}

AnswerThreads& AdminServer::Server::threads_for(AnswerKind kind) {
  switch (kind) {
    case AnswerKind::kProbe:
      return probes_;
    case AnswerKind::kQuestion:
      return questions_;
    case AnswerKind::kReload:
      return reloads_;
    case AnswerKind::kChange:
      return changes_;
  }
  HG_CHECK(false);
}

Result<Fd> AdminServer::listen(const Address& bind, AdminOffer offer) {
  auto listening = listen_on(bind, {.backlog = kBacklog, .alone = true, .for_owner_and_group = true});
  if (listening) return listening;
  const std::string key = offer == AdminOffer::kAll ? "admin.bind" : "admin.metrics_bind";
  return fail(ErrorKind::kSystem, key + ": " + listening.error().what + "; " + key + " may also be off");
}

Result<std::unique_ptr<AdminServer>> AdminServer::open(Fd listening, AdminSource& source, AdminOffer offer) {
  Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return fail_errno("cannot make an eventfd for the admin endpoint", errno);
  auto server = std::make_unique<Server>(std::move(listening), std::move(wake), source, offer);
  if (auto started = server->start(); !started) return tl::unexpected(started.error());
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(server)));
}

AdminServer::AdminServer(std::unique_ptr<Server> server) : server_(std::move(server)) {}

AdminServer::~AdminServer() = default;

const Address& AdminServer::bound_address() const {
  return server_->bound_address();
}

const Fd& AdminServer::listening() const {
  return server_->listening();
}

}  // namespace headgate
