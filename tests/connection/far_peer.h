#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <string_view>

#include "connection/ends.h"
#include "net/buffers.h"
#include "net/stream.h"
#include "tls/record/aead_contexts.h"

namespace headgate::test {

/// What protects the bytes of one side: nothing, our record layer, or OpenSSL's.
enum class Layer : std::uint8_t { kPlain, kRecords, kOpenssl13, kOpenssl12 };
inline constexpr Layer kLayers[] = {Layer::kPlain, Layer::kRecords, Layer::kOpenssl13, Layer::kOpenssl12};
std::ostream& operator<<(std::ostream& out, Layer layer);

/// Two connected TCP sockets. Where `is_slow`, the buffers between them hold some kilobytes in the direction
/// from `ours` to `theirs`.
struct TcpPair {
  explicit TcpPair(bool is_slow);
  Fd ours, theirs;
};

/// The peer of one side of a connection, at the other end of a real TCP connection. It shows what has reached
/// it: bytes, close_notify, an alert, FIN, RST.
class FarPeer {
 public:
  virtual ~FarPeer() = default;

  /// Queues bytes; turn() sends them.
  void send(std::string_view bytes) { to_send_ += protect(bytes); }
  /// Ends its direction: in order, without close_notify, in the middle of a record, with a fatal alert,
  /// behind a damaged record, or by a reset. Whatever was queued before has left by then.
  void end_in_order();
  void end_cut_short();
  void end_in_a_record();
  void end_with_alert();
  void end_with_a_bad_record();
  void reset();
  /// Sends a byte out of band, at once. The far end does not read it with the others.
  void send_urgent(char byte);

  /// Sends what is queued.
  void turn();
  [[nodiscard]] bool has_to_send() const { return !to_send_.empty(); }
  /// end_cut_short(), unless it has ended already.
  void leave();
  /// Whether all that was sent is with the kernel of the other end.
  [[nodiscard]] bool is_delivered() const;
  /// Reads at most that many bytes of the wire.
  void hear(std::size_t most_bytes);
  /// The connection has ended, as far as this peer sees.
  [[nodiscard]] bool is_over() const { return fin || was_reset; }
  /// How it ended, in the words of the table.
  [[nodiscard]] Farewell seen() const;

  std::string received;  ///< Plaintext.
  bool fin = false, was_reset = false, close_notify = false;
  int alert = -1;

 protected:
  explicit FarPeer(Fd socket) : socket_(std::move(socket)) {}
  virtual std::string protect(std::string_view bytes) = 0;
  virtual std::string close_notify_record() = 0;
  virtual std::string alert_record() = 0;
  virtual void open(std::string_view wire) = 0;
  virtual bool is_tls() const { return true; }

  Fd socket_;
  std::string to_send_;
  bool ended_ = false;

 private:
  void send_all();
};

/// Our end of one side, and the peer behind it.
struct Pair {
  std::unique_ptr<Stream> stream;
  std::unique_ptr<FarPeer> peer;
};
/// The worker's objects that streams borrow.
struct StreamWorker {
  Buffers& buffers;
  AeadContexts& contexts;
};
/// A side of a connection whose handshake is done. Our end is a server towards a client, else a client.
[[nodiscard]] Pair make_pair(Layer layer, Side side, bool is_slow, StreamWorker worker);

}  // namespace headgate::test
