#include "supervisor/systemd.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include <systemd/sd-daemon.h>

namespace headgate::systemd {
namespace {

constexpr int kKeepEnvironment = 0, kTakeEnvironment = 1;

void notify(const std::string& state) {
  sd_notify(kKeepEnvironment, state.c_str());
}

/// Puts the text on one line: systemd would take the text after a line break for another assignment.
std::string status_line(std::string_view status) {
  std::string line(status);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return "STATUS=" + line;
}

std::int64_t monotonic_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1'000;
}

Result<ActivatedSocket> adopt(int number, std::string name) {
  ActivatedSocket socket{Fd(number), {}, std::move(name)};
  if (sd_is_socket(number, AF_UNSPEC, SOCK_STREAM, /*listening=*/1) <= 0) {
    return fail(ErrorKind::kInvalid,
                "descriptor " + std::to_string(number) + " (\"" + socket.name +
                    "\") passed by systemd is not a listening stream socket; use ListenStream= "
                    "with Accept=no in the socket unit");
  }
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(number, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return fail_errno("cannot read the address of descriptor " + std::to_string(number), errno);
  }
  fcntl(number, F_SETFD, FD_CLOEXEC);
  fcntl(number, F_SETFL, fcntl(number, F_GETFL) | O_NONBLOCK);
  socket.address = Address::from_socket(storage, size);
  return socket;
}

}  // namespace

void notify_ready(std::string_view status) {
  notify("READY=1\n" + status_line(status));
}

void notify_reloading() {
  notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_us()));
}

void notify_stopping(std::string_view status) {
  notify("STOPPING=1\n" + status_line(status));
}

void notify_status(std::string_view status) {
  notify(status_line(status));
}

void notify_main_process(int pid) {
  notify("MAINPID=" + std::to_string(pid));
}

std::optional<Duration> watchdog_interval() {
  std::uint64_t limit_us = 0;
  if (sd_watchdog_enabled(kKeepEnvironment, &limit_us) <= 0) return std::nullopt;
  return std::chrono::microseconds(limit_us) / 2;
}

void feed_watchdog() {
  notify("WATCHDOG=1");
}

Result<std::vector<ActivatedSocket>> adopt_sockets(int first, int count,
                                                   const std::vector<std::string>& names) {
  std::vector<ActivatedSocket> sockets;
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    auto socket = adopt(first + i, at < names.size() ? names[at] : "");
    if (!socket) return tl::unexpected(socket.error());
    sockets.push_back(std::move(*socket));
  }
  return sockets;
}

Result<std::vector<ActivatedSocket>> take_activated_sockets() {
  char** listed = nullptr;
  const int count = sd_listen_fds_with_names(kTakeEnvironment, &listed);
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) {
    names.emplace_back(listed[i]);
    std::free(listed[i]);
  }
  std::free(listed);
  return adopt_sockets(SD_LISTEN_FDS_START, count, names);
}

}  // namespace headgate::systemd
