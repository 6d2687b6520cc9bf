#include "supervisor/successor.h"

#include <spawn.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/thread_signals.h"
#include "net/descriptor_passing.h"
#include "supervisor/predecessor.h"

namespace headgate {
namespace {

/// The time that the new process has to load its files; 100,000 certificates take seconds.
constexpr timeval kLoadingPatience{.tv_sec = 60, .tv_usec = 0};
/// While connections are quiescent, their peers wait too: this is the time for each message, and for the
/// notice that all connections are at work.
constexpr timeval kQuiescentPatience{.tv_sec = 10, .tv_usec = 0};
/// The number of connections sent before the first is answered: enough to keep both sides busy, and their
/// answers fit into the socket's buffer, so neither side waits for the other to read.
constexpr std::size_t kWindow = 32;
/// A new process that has failed gets half a second to end by itself, in steps of 10 ms.
constexpr int kPausesForEnd = 50;
/// The socket's number in the new process.
constexpr int kSocketThere = 3;

/// The environment of the new process: ours, without the variables about this process alone.
std::vector<std::string> environment_for_successor() {
  std::vector<std::string> all;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string_view entry(*at);
    if (!entry.starts_with("WATCHDOG_PID=")) all.emplace_back(entry);
  }
  all.push_back(std::string(kHandoverVariable) + "=" + std::to_string(kSocketThere));
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

/// The state that posix_spawn() gives the child: the socket at its number, no signal blocked.
class SpawnPlan {
 public:
  explicit SpawnPlan(int socket) {
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, socket, kSocketThere);
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  [[nodiscard]] Result<pid_t> spawn(Program program) const {
    auto environment = environment_for_successor();
    pid_t process = -1;
    const int error = posix_spawn(&process, program.path.c_str(), &actions_, &attributes_,
                                  pointers(program.arguments).data(), pointers(environment).data());
    if (error != 0) return fail_errno("cannot start " + program.path, error);
    return process;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

Result<void> evaluate(const HandoverNotice& notice, HandoverWord expected) {
  if (notice.word == expected) return {};
  if (notice.word == HandoverWord::kFailed) return fail(ErrorKind::kInvalid, notice.detail);
  return fail(
      ErrorKind::kMalformed,
      "unexpected hand-over message from the new process (are the versions compatible?): " + notice.detail);
}

void set_patience(const Fd& socket, const timeval& time) {
  ::setsockopt(socket.number(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  ::setsockopt(socket.number(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

}  // namespace

Program own_program() {
  namespace fs = std::filesystem;
  Program program;
  std::error_code error;
  const auto* named = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  program.path = named != nullptr ? fs::absolute(named, error) : fs::read_symlink("/proc/self/exe", error);
  std::ifstream line("/proc/self/cmdline", std::ios::binary);
  for (std::string argument; std::getline(line, argument, '\0');) program.arguments.push_back(argument);
  return program;
}

Result<pid_t> start_successor(const Program& program, int socket) {
  return SpawnPlan(socket).spawn(program);
}

Successor::Successor(Site site, std::function<void(const Outcome&)> ended)
    : site_(std::move(site)), ended_(std::move(ended)) {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0) {
    socket_ = Fd(ends[0]);
    other_end_ = Fd(ends[1]);
    set_patience(socket_, kLoadingPatience);
  }
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    outcome_.failure = std::string("cannot start a thread: ") + error.what();
    ended_(outcome_);
  }
}

Successor::~Successor() {
  if (socket_) ::shutdown(socket_.number(), SHUT_RDWR);
  if (thread_.joinable()) thread_.join();
}

void Successor::run() {
  block_process_signals();
  auto done = start();
  if (done) done = hand_over();
  outcome_.succeeded = done.has_value();
  if (!done) {
    outcome_.failure = done.error().what;
    undo();
  }
  ended_(outcome_);
}

Result<void> Successor::start() {
  if (!socket_) return fail_errno("cannot make a socket to the new process", errno);
  auto process = site_.start(other_end_.number());
  other_end_.close();
  if (!process) return tl::unexpected(std::move(process.error()));
  outcome_.process = *process;
  return {};
}

Result<void> Successor::hand_over() {
  if (auto sent = send_sockets(); !sent) return sent;
  if (auto ready = expect(HandoverWord::kReady); !ready) return ready;
  admin_closed_ = true;
  site_.close_admin();
  set_patience(socket_, kQuiescentPatience);
  const auto quiesced = quiesce_connections();
  if (!quiesced) return tl::unexpected(quiesced.error());
  if (auto sent = send_connections(*quiesced); !sent) return sent;
  for (auto& piece : counters_in_pieces(site_.counters(outcome_.left, outcome_.moved))) {
    if (auto sent = send(std::move(piece)); !sent) return sent;
  }
  if (auto sent = send(HandoverNotice{HandoverWord::kComplete, ""}); !sent) return sent;
  if (auto holding = expect(HandoverWord::kHolding); !holding) return holding;
  if (!site_.still_wanted()) return fail(ErrorKind::kRefused, "the process is asked to end");
  if (auto sent = send(HandoverNotice{HandoverWord::kTakeOver, ""}); !sent) return sent;
  if (auto serves = hear_that_it_serves(); !serves) return serves;
  site_.ask_workers([refused = refused_](Worker& worker) {
    const auto stay = refused.find(worker.index());
    if (stay != refused.end()) wake(worker, stay->second);
    release_quiescent(worker);
  });
  return {};
}

Result<void> Successor::send_sockets() {
  for (const auto& held : site_.sockets) {
    if (!held.descriptor) return fail(ErrorKind::kSystem, "no descriptor is left for the listening sockets");
    const SecretBytes message = encode(HandoverListener{held.listener, held.bind});
    auto sent = send_with_descriptors(socket_.number(), message, std::array{held.descriptor.number()});
    if (!sent) return fail(ErrorKind::kSystem, sent.error().what + ": " + how_it_ended());
  }
  for (HandoverCertificate& certificate : std::exchange(site_.certificates, {})) {
    if (auto sent = send(std::move(certificate)); !sent) return sent;
  }
  return send(notice_of(HandoverWord::kListening, site_.layers.text()));
}

Result<Successor::Quiesced> Successor::quiesce_connections() {
  struct Gathered {
    std::mutex mutex;
    Quiesced quiesced;
    std::map<std::string, std::uint64_t> left;
    std::size_t answers = 0;
  };
  auto gathered = std::make_shared<Gathered>();
  const std::size_t workers = site_.ask_workers([gathered](Worker& worker) {
    QuiescentConnections quiescent = quiesce_all(worker);
    const std::lock_guard lock(gathered->mutex);
    ++gathered->answers;
    for (auto& one : quiescent.moving) gathered->quiesced.moving.emplace_back(worker.index(), std::move(one));
    for (const auto& [reason, count] : quiescent.left) gathered->left[reason] += count;
  });
  const std::lock_guard lock(gathered->mutex);
  if (gathered->answers < workers) return fail(ErrorKind::kSystem, "a worker did not answer within 2 s");
  outcome_.left = gathered->left;
  return std::move(gathered->quiesced);
}

Result<void> Successor::send_connections(const Quiesced& quiesced) {
  std::size_t next_answer = 0;
  for (std::size_t i = 0; i < quiesced.moving.size(); ++i) {
    const QuiescentConnection& one = quiesced.moving[i].second;
    auto sent = send_with_descriptors(socket_.number(), one.message, one.descriptors);
    if (!sent) return fail(ErrorKind::kSystem, sent.error().what + ": " + how_it_ended());
    if (i + 1 - next_answer < kWindow) continue;
    if (auto settled = settle_one(next_answer, quiesced); !settled) return settled;
  }
  while (next_answer < quiesced.moving.size()) {
    if (auto settled = settle_one(next_answer, quiesced); !settled) return settled;
  }
  return {};
}

Result<void> Successor::settle_one(std::size_t& next_answer, const Quiesced& quiesced) {
  const auto answer = receive();
  if (!answer) return tl::unexpected(answer.error());
  const auto& [worker, connection] = quiesced.moving[next_answer++];
  if (answer->word == HandoverWord::kTaken) {
    ++outcome_.moved;
  } else if (answer->word == HandoverWord::kRefused) {
    ++outcome_.left["refused"];
    refused_[worker].insert(connection.id);
  } else {
    return fail(ErrorKind::kMalformed,
                "unexpected hand-over message from the new process (are the versions compatible?): " +
                    answer->detail);
  }
  return {};
}

Result<void> Successor::send(const HandoverMessage& message) {
  auto sent = send_with_descriptors(socket_.number(), encode(message), {});
  if (!sent) return fail(ErrorKind::kSystem, sent.error().what + ": " + how_it_ended());
  return sent;
}

Result<HandoverNotice> Successor::receive() {
  auto notice = receive_notice();
  if (!notice && notice.error().kind != ErrorKind::kMalformed)
    return fail(ErrorKind::kSystem, notice.error().what + ": " + how_it_ended());
  return notice;
}

Result<HandoverNotice> Successor::receive_notice() {
  auto passed = receive_with_descriptors(socket_.number());
  if (!passed) return tl::unexpected(std::move(passed.error()));
  auto message = decode_handover(passed->bytes);
  if (!message) return tl::unexpected(std::move(message.error()));
  auto* notice = std::get_if<HandoverNotice>(&*message);
  if (notice == nullptr)
    return fail(ErrorKind::kMalformed, "the new process sent a message that only the old process sends");
  return std::move(*notice);
}

Result<void> Successor::expect(HandoverWord word) {
  const auto notice = receive();
  return notice ? evaluate(*notice, word) : tl::unexpected(notice.error());
}

// The connections are quiescent here until this notice, so a new process that dies before it loses none of
// them. When the notice does not come in time, shutting the socket settles which process serves: a notice
// that was sent before can still be read here, and the new process can send no other one afterwards.
Result<void> Successor::hear_that_it_serves() {
  auto notice = receive_notice();
  if (!notice) {
    ::shutdown(socket_.number(), SHUT_RDWR);
    notice = receive_notice();
  }
  if (!notice) return fail(ErrorKind::kSystem, notice.error().what + ": " + how_it_ended());
  return evaluate(*notice, HandoverWord::kServing);
}

// The new process must be gone before a connection wakes here: two must never speak on one.
void Successor::undo() {
  how_it_ended();
  site_.ask_workers([](Worker& worker) { wake_all(worker); });
  if (admin_closed_) site_.open_admin();
}

std::string Successor::how_it_ended() {
  if (outcome_.process <= 0) return end_;
  ::shutdown(socket_.number(), SHUT_RDWR);
  int status = 0;
  const timespec pause{.tv_sec = 0, .tv_nsec = 10'000'000};
  bool gone = false;
  for (int i = 0; i < kPausesForEnd && !gone; ++i) {
    gone = ::waitpid(outcome_.process, &status, WNOHANG) != 0;
    if (!gone) ::nanosleep(&pause, nullptr);
  }
  if (!gone) {
    ::kill(outcome_.process, SIGKILL);
    ::waitpid(outcome_.process, &status, 0);
  }
  outcome_.process = -1;
  end_ = WIFEXITED(status) ? "it ended with exit code " + std::to_string(WEXITSTATUS(status))
                           : "it was ended by signal " + std::to_string(WTERMSIG(status));
  return end_;
}

}  // namespace headgate
