#include "cli/demo_process.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "admin/demo_backend.h"
#include "supervisor/sandbox.h"

namespace headgate {
namespace {

/// The first byte says whether the rest is an address or a failure.
constexpr char kAddress = '@', kFailure = '!';

std::string open_backend(Result<std::unique_ptr<DemoBackend>>& backend) {
  backend = DemoBackend::open();
  return backend ? kAddress + (*backend)->address().text() : kFailure + backend.error().what;
}

[[noreturn]] void serve(const Fd& line) {
  // The proxy may drain for a while after Ctrl-C, which the terminal sends to both.
  std::signal(SIGINT, SIG_IGN);
  static_cast<void>(enter_sandbox({}));
  Result<std::unique_ptr<DemoBackend>> backend;
  const std::string answer = open_backend(backend);
  char byte = 0;
  if (::send(line.number(), answer.data(), answer.size(), MSG_NOSIGNAL) > 0) {
    while (::read(line.number(), &byte, 1) < 0 && errno == EINTR) {
    }
  }
  ::_exit(0);
}

std::string hear(const Fd& line) {
  std::array<char, 512> text{};
  const ssize_t size = ::recv(line.number(), text.data(), text.size(), 0);
  return {text.data(), static_cast<std::size_t>(size < 0 ? 0 : size)};
}

}  // namespace

Result<DemoProcess> DemoProcess::start() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return fail_errno("cannot make a socket to the demo's backend", errno);
  Fd ours(ends[0]), its(ends[1]);
  const pid_t process = ::fork();
  if (process < 0) return fail_errno("cannot start the demo's backend", errno);
  if (process == 0) {
    ours.close();
    serve(its);
  }
  its.close();
  std::string answer = hear(ours);
  DemoProcess started(std::move(ours), process, answer.empty() ? "" : answer.substr(1));
  if (answer.empty()) return fail(ErrorKind::kSystem, "the demo's backend ended at once");
  if (answer.front() == kFailure) return fail(ErrorKind::kSystem, answer.substr(1));
  return started;
}

DemoProcess::~DemoProcess() {
  if (process_ < 0) return;
  line_.close();
  ::waitpid(process_, nullptr, 0);
}

}  // namespace headgate
