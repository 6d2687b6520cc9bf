#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "net/fd.h"
#include "net/socket.h"

/// Pipes through which splice(2) moves bytes from one socket to another inside the kernel: no byte is copied
/// into this process. Loop thread only; nothing blocks. The process ignores SIGPIPE, which splice(2) raises
/// where the destination is gone.
namespace headgate {

/// A pipe(2). It keeps the order of bytes, and at most kPipeBytes of them.
class Pipe {
 public:
  Pipe(Fd read_end, Fd write_end) : read_end_(std::move(read_end)), write_end_(std::move(write_end)) {}

  /// Takes once what has arrived at the socket: kDone with bytes, kWantRead where nothing has arrived (or the
  /// pipe is full), kEnded, or kFailed; EINVAL says that the kernel cannot splice from this kind of socket.
  /// The kernel stops at TCP's urgent mark for good: kWantRead and kEnded may also mean that bytes lie behind
  /// it, which only a read brings.
  [[nodiscard]] SocketIo take_from(int socket);
  /// Gives what it has to the socket: kDone when nothing is left, kWantWrite, or kFailed; ECONNRESET also
  /// where it cannot be told whether a FIN came before the reset.
  [[nodiscard]] SocketIo give_to(int socket);
  /// Moves what it has behind the bytes of `bytes`.
  void empty_into(std::vector<std::byte>& bytes);

  [[nodiscard]] std::size_t size_bytes() const { return size_bytes_; }

 private:
  Fd read_end_, write_end_;
  std::size_t size_bytes_ = 0;
};

/// How much a pipe holds: as much as a flow may move in one turn of the loop.
inline constexpr std::size_t kPipeBytes = 256 * 1024;

class PipePool;
/// Gives a pipe back to the pool that lent it.
struct ReturnPipe {
  PipePool* pool = nullptr;
  void operator()(Pipe* pipe) const;
};
/// A pipe on loan. The pool outlives it.
using PipeLoan = std::unique_ptr<Pipe, ReturnPipe>;

/// The pipes of a worker. A flow borrows one for a call, and keeps it only while its destination has not
/// taken every byte; so a worker whose clients are fast needs one pipe, and a slow one holds one.
class PipePool {
 public:
  /// Two descriptors each.
  static constexpr std::size_t kMostPipes = 128;

  PipePool();
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;
  ~PipePool();

  /// Lends an empty pipe. Null: kMostPipes are lent, less than a quarter of the descriptors is left, or
  /// the system gives no descriptors or no room for one.
  [[nodiscard]] PipeLoan borrow();
  /// Closes the pipes that are not lent. Returns whether there were any.
  bool give_up_descriptors();
  [[nodiscard]] std::size_t lent() const { return lent_; }

 private:
  friend ReturnPipe;
  /// Keeps the pipe for the next loan, or closes it: where bytes are left in it, and where enough wait.
  void take_back(std::unique_ptr<Pipe> pipe);

  std::vector<std::unique_ptr<Pipe>> free_;
  std::size_t lent_ = 0;
};

}  // namespace headgate
