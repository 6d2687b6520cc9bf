#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/fd.h"

namespace headgate::lives {

/// One byte queue, of which the front is taken without moving the rest each time.
class ByteQueue {
 public:
  void push(std::string_view bytes) { bytes_.append(bytes); }
  [[nodiscard]] std::string_view view() const { return std::string_view(bytes_).substr(taken_); }
  [[nodiscard]] std::size_t size() const { return bytes_.size() - taken_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  void pop(std::size_t size);
  void clear() {
    bytes_.clear();
    taken_ = 0;
  }

 private:
  std::string bytes_;
  std::size_t taken_ = 0;
};

/// A TCP connection in memory: one end is a descriptor of Headgate's, the other one is the test's script.
///
/// The program's own send(), recv(), close() and so on come here for such a descriptor (the linker wraps
/// them), and go to the kernel for every other one. It does what Linux does, without the kernel's clock: the
/// same script gives the same life, windows may be one byte, and a life takes no time. What it takes from
/// Linux:
///  - bytes that were sent leave the send queue with the next tick(), as far as the peer's window goes, and
///  are
///    acknowledged with the tick after that; SIOCOUTQ counts them until then, and the FIN too;
///  - a reset from our side (linger 0, or a close with unread bytes, or bytes that come after the close)
///  destroys
///    what is in our send queue; the bytes that are in the peer's receive queue stay readable there;
///  - a reset from the peer leaves our receive queue readable; the error is told once, by the first call that
///  finds
///    it; after that a send gets EPIPE, and a receive the end of the stream, as if it had ended in order.
/// What it leaves out: segments, loss, MSG_MORE's delay, urgent data.
class Tcp {
 public:
  struct Options {
    std::size_t peer_window =
        1 << 20;  ///< Bytes that the peer's kernel holds for a script that does not read.
    std::size_t our_window = 1 << 20;   ///< The same on our side.
    std::size_t segment = 1 << 20;      ///< Bytes of the peer that arrive with one tick().
    std::size_t send_buffer = 1 << 20;  ///< Bytes that our kernel takes and that are not acknowledged yet.
  };
  Tcp();
  ~Tcp();
  Tcp(const Tcp&) = delete;
  Tcp& operator=(const Tcp&) = delete;

  void set(const Options& options) { options_ = options; }
  /// Headgate's descriptor, for one stream to own.
  [[nodiscard]] Fd descriptor();

  // The script's end.
  void peer_sends(std::string_view bytes);
  void peer_ends();    ///< FIN.
  void peer_resets();  ///< RST.
  void peer_closes();  ///< FIN, and every byte that still comes is answered with RST.
  [[nodiscard]] std::string peer_takes(std::size_t most);
  [[nodiscard]] bool peer_has_end() const { return fin_told_ && to_peer_.empty(); }
  [[nodiscard]] bool peer_has_reset() const { return reset_told_ && !fin_told_ && to_peer_.empty(); }
  /// Bytes that our kernel has received.
  [[nodiscard]] std::size_t arrived_bytes() const { return arrived_bytes_; }
  [[nodiscard]] bool end_arrived() const { return fin_arrived_; }

  // The kernel.
  bool tick();    ///< Moves what can move. False: nothing did.
  void signal();  ///< Shows epoll what the descriptor is ready for.
  [[nodiscard]] bool is_closed() const { return closed_; }
  [[nodiscard]] bool has_bytes() const { return !inbox_.empty(); }
  [[nodiscard]] bool is_readable() const { return !inbox_.empty() || fin_arrived_ || reset_arrived_; }
  [[nodiscard]] bool is_writable() const;
  /// What changes with every call that moves something: a loop that leaves it as it was did nothing.
  [[nodiscard]] std::uint64_t moves() const { return moves_; }

  // Our end, by system call.
  static Tcp* find(int fd);
  ssize_t send(const void* bytes, std::size_t size);
  ssize_t receive(void* into, std::size_t size, int flags);
  int end_sending();
  void set_linger(bool reset) { resets_on_close_ = reset; }
  int take_error();
  [[nodiscard]] std::uint8_t state() const;  ///< As TCP_INFO has it.
  [[nodiscard]] int unacknowledged() const;
  void close();

 private:
  void arrive(std::size_t most);
  void reset_from_peer();
  void reset_from_us();

  Options options_;
  Fd near_, far_;  // a pair of sockets whose readiness mirrors ours: epoll watches near_
  bool shown_readable_ = false, shown_writable_ = true;

  ByteQueue from_peer_, inbox_;  // sent by the peer: not arrived, and arrived
  std::size_t arrived_bytes_ = 0;
  bool fin_sent_ = false, fin_arrived_ = false, reset_arrived_ = false, peer_closed_ = false;
  int error_ = 0;  // of a reset, until a call has told it

  ByteQueue outbox_, to_peer_;  // sent by us: not arrived, and arrived
  std::size_t unacknowledged_ = 0;
  bool fin_queued_ = false, fin_told_ = false, fin_acknowledged_ = false, reset_told_ = false;
  bool resets_on_close_ = false, closed_ = false;
  std::uint64_t moves_ = 0;
};

/// The time that the kernel's coarse clock shows from now on; the streams read it.
void set_coarse_clock(std::int64_t nanoseconds);

}  // namespace headgate::lives
