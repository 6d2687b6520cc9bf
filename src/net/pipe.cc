#include "net/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/descriptor_limit.h"

namespace headgate {
namespace {

// So many pipes wait for their next flow; more are made only while several destinations are slow.
constexpr std::size_t kMostFree = 4;

constexpr unsigned kFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

/// splice(2), again where a signal came before any byte moved.
ssize_t splice_once(int from, int to, std::size_t most_bytes) {
  ssize_t moved = 0;
  do {
    moved = ::splice(from, nullptr, to, nullptr, most_bytes, kFlags);
  } while (moved < 0 && errno == EINTR);
  return moved;
}

bool is_for_later(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

/// Whether the last quarter of the descriptors is in use, which is for connections. A new one has the lowest
/// free number.
bool are_few_left(int newest) {
  return static_cast<std::uint64_t>(newest) >= descriptor_limit() / 4 * 3;
}

/// Makes a pipe of kPipeBytes. Null: the process has few descriptors left, or a user with many pipes already
/// gets small ones (pipe(7), pipe-user-pages-soft), which would cost more than they save.
std::unique_ptr<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return nullptr;
  auto pipe = std::make_unique<Pipe>(Fd(ends[0]), Fd(ends[1]));
  if (are_few_left(ends[1])) return nullptr;
  if (::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(kPipeBytes)) < 0) return nullptr;
  return pipe;
}

}  // namespace

SocketIo Pipe::take_from(int socket) {
  const ssize_t taken = splice_once(socket, write_end_.number(), kPipeBytes);
  if (taken > 0) {
    size_bytes_ += static_cast<std::size_t>(taken);
    return {IoStatus::kDone, static_cast<std::size_t>(taken)};
  }
  if (taken == 0) return {IoStatus::kEnded};
  if (is_for_later(errno)) return {IoStatus::kWantRead};
  return {IoStatus::kFailed, 0, errno};
}

// The length is what is in the pipe: with a longer one the kernel would hold the last segment back for more.
//
// A splice is several sends inside the kernel. Where a reset comes between two of them, the call tells how
// much the first ones moved, the reset has been told by then, and the next call finds EPIPE: as after a FIN.
SocketIo Pipe::give_to(int socket) {
  const std::size_t before_bytes = size_bytes_;
  while (size_bytes_ > 0) {
    const ssize_t given = splice_once(read_end_.number(), socket, size_bytes_);
    if (given < 0 && is_for_later(errno)) return {IoStatus::kWantWrite};
    if (given < 0 && errno == EPIPE && size_bytes_ < before_bytes) return {IoStatus::kFailed, 0, ECONNRESET};
    if (given <= 0) return {IoStatus::kFailed, 0, given < 0 ? errno : EIO};
    size_bytes_ -= static_cast<std::size_t>(given);
  }
  return {IoStatus::kDone};
}

void Pipe::empty_into(std::vector<std::byte>& bytes) {
  const std::size_t before = bytes.size();
  bytes.resize(before + size_bytes_);
  for (std::size_t at = before; at < bytes.size();) {
    const ssize_t got = ::read(read_end_.number(), bytes.data() + at, bytes.size() - at);
    HG_CHECK(got > 0 || (got < 0 && errno == EINTR));
    if (got > 0) at += static_cast<std::size_t>(got);
  }
  size_bytes_ = 0;
}

void ReturnPipe::operator()(Pipe* pipe) const {
  pool->take_back(std::unique_ptr<Pipe>(pipe));
}

// So giving a pipe back needs no memory.
PipePool::PipePool() {
  free_.reserve(kMostFree);
}

PipePool::~PipePool() {
  HG_CHECK(lent_ == 0);
}

PipeLoan PipePool::borrow() {
  if (lent_ == kMostPipes) return {};
  std::unique_ptr<Pipe> pipe;
  if (free_.empty()) {
    pipe = make_pipe();
  } else {
    pipe = std::move(free_.back());
    free_.pop_back();
  }
  if (!pipe) return {};
  ++lent_;
  return PipeLoan(pipe.release(), ReturnPipe{this});
}

void PipePool::take_back(std::unique_ptr<Pipe> pipe) {
  --lent_;
  if (pipe->size_bytes() == 0 && free_.size() < kMostFree) free_.push_back(std::move(pipe));
}

bool PipePool::give_up_descriptors() {
  const bool any = !free_.empty();
  free_.clear();
  return any;
}

}  // namespace headgate
