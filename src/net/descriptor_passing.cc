#include "net/descriptor_passing.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

namespace headgate {
namespace {

/// In front of each message, with the descriptors; native byte order, since both ends are on one machine.
struct Preamble {
  std::uint32_t size_bytes = 0;
  std::uint32_t descriptors = 0;
};

using ControlRoom = std::array<std::byte, CMSG_SPACE(kMaxPassedDescriptors * sizeof(int))>;

Result<void> send_all(int socket, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return fail_errno("cannot send to the other process", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<void> receive_all(int socket, std::span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t got = recv(socket, into.data(), into.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot receive from the other process", errno);
    if (got == 0) return fail(ErrorKind::kIncomplete, "the other process ended in the middle of a message");
    into = into.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

void take_descriptors(const msghdr& message, std::vector<Fd>& descriptors) {
  for (const cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(part))) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; at + sizeof(int) <= part->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + at, sizeof number);
      descriptors.emplace_back(number);
    }
  }
}

/// The preamble, or its first bytes, and the descriptors that came with them.
Result<std::size_t> receive_first(int socket, Preamble& preamble, std::vector<Fd>& descriptors) {
  alignas(cmsghdr) ControlRoom control;
  iovec place{&preamble, sizeof preamble};
  msghdr message{};
  message.msg_iov = &place;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0) return fail_errno("cannot receive from the other process", errno);
  take_descriptors(message, descriptors);
  if (got == 0) return fail(ErrorKind::kNotFound, "the other process closed the socket");
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return fail(ErrorKind::kSystem, "could not receive descriptors: is LimitNOFILE (ulimit -n) too low?");
  }
  return static_cast<std::size_t>(got);
}

}  // namespace

Result<void> send_with_descriptors(int socket, std::span<const std::byte> bytes,
                                   std::span<const int> descriptors) {
  if (bytes.size() > kMaxPassedBytes || descriptors.size() > kMaxPassedDescriptors) {
    return fail(ErrorKind::kInvalid, "a message of " + std::to_string(bytes.size()) + " bytes and " +
                                         std::to_string(descriptors.size()) +
                                         " descriptors is too large for the other process: the limits are " +
                                         std::to_string(kMaxPassedBytes) + " and " +
                                         std::to_string(kMaxPassedDescriptors));
  }
  Preamble preamble{static_cast<std::uint32_t>(bytes.size()), static_cast<std::uint32_t>(descriptors.size())};
  iovec place{&preamble, sizeof preamble};
  msghdr message{};
  message.msg_iov = &place;
  message.msg_iovlen = 1;
  alignas(cmsghdr) ControlRoom control{};
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = 0;
  do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail_errno("cannot send to the other process", errno);
  // The descriptors left with the first byte.
  const auto rest = std::as_bytes(std::span(&preamble, 1)).subspan(static_cast<std::size_t>(sent));
  if (auto outcome = send_all(socket, rest); !outcome) return outcome;
  return send_all(socket, bytes);
}

Result<PassedMessage> receive_with_descriptors(int socket) {
  PassedMessage message;
  Preamble preamble;
  const auto got = receive_first(socket, preamble, message.descriptors);
  if (!got) return tl::unexpected(got.error());
  const auto rest = std::as_writable_bytes(std::span(&preamble, 1)).subspan(*got);
  if (auto outcome = receive_all(socket, rest); !outcome) return tl::unexpected(outcome.error());
  if (preamble.size_bytes > kMaxPassedBytes || preamble.descriptors != message.descriptors.size()) {
    return fail(ErrorKind::kMalformed, "the other process announced " + std::to_string(preamble.size_bytes) +
                                           " bytes and " + std::to_string(preamble.descriptors) +
                                           " descriptors, and sent " +
                                           std::to_string(message.descriptors.size()));
  }
  message.bytes.resize(preamble.size_bytes);
  if (auto outcome = receive_all(socket, message.bytes); !outcome) return tl::unexpected(outcome.error());
  return message;
}

}  // namespace headgate
