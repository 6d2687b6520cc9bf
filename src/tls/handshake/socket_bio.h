#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <openssl/bio.h>

#include "base/result.h"
#include "net/buffers.h"
#include "net/fd.h"
#include "net/unsent.h"
#include "tls/library/openssl_types.h"

namespace headgate {

/// The BIO between an SSL object and its socket: the SSL never touches the socket itself.
///
/// SocketBio receives ciphertext into the worker's buffer, a large piece at a time, and the SSL reads from
/// there. The bytes that the SSL writes gather in the worker's buffer and leave in one send. So a connection
/// owns bytes only while its peer is slow: the part of a record that has arrived (`kept`), and the bytes that
/// the socket did not take (`unsent`).
///
/// Every call into the SSL happens between open() and settle() or discard().
class SocketBio {
 public:
  /// As many as it takes to fill a whole buffer with data.
  static constexpr int kReceives = 2;

  /// `received` was read from the socket before, and comes first.
  SocketBio(Fd fd, Buffers& buffers, std::vector<std::byte> received);
  SocketBio(const SocketBio&) = delete;
  SocketBio& operator=(const SocketBio&) = delete;

  /// Returns a BIO without a socket. Errors: kSystem, for a lack of memory.
  [[nodiscard]] static Result<BioPtr> make_bio();
  /// Makes `bio` the one of this socket: for SSL_set0_rbio() and SSL_set0_wbio(), one reference each. This
  /// object must outlive the SSL.
  void attach(BIO* bio);

  /// The SSL may then receive so many times: a peer that sends records without data, or of a byte each,
  /// faster than the SSL reads them would not let it come back. The rest waits in the socket, which stays
  /// readable.
  void open(int receives = kReceives);
  /// The last byte that the SSL has read; 0 before the first.
  [[nodiscard]] std::uint8_t last_octet() const { return last_octet_; }

  /// Keeps the bytes that the SSL left unread, and sends those that it wrote. Returns kDone, kWantWrite (it
  /// keeps the unsent bytes) or kFailed (io_error()).
  IoStatus settle(Then then = Then::kMore);
  /// As settle(), but the bytes that the SSL wrote wait: they leave together with the next write, or with
  /// flush().
  void settle_holding_output();
  /// Drops the bytes that the SSL has written since open(): our direction is over.
  void drop_written() { gathered_bytes_ = 0; }
  IoStatus flush(Then then = Then::kMore);
  /// Drops the bytes that the SSL wrote and those that it left unread: the connection is over.
  void discard();
  /// Ends the peer's input with the header of a record that no peer may send. The SSL reads it next, and so
  /// sends the fatal alert for it and reads nothing else: unexpected_message with TLS 1.3, record_overflow
  /// before. Call it between two records.
  void break_off();

  [[nodiscard]] int descriptor() const { return fd_.number(); }
  [[nodiscard]] bool has_kept() const { return !kept_.empty(); }
  [[nodiscard]] std::size_t unsent_bytes() const { return unsent_.size_bytes(); }
  /// The peer's FIN was read.
  [[nodiscard]] bool ended() const { return ended_; }
  /// The errno of the socket's last failure, 0 for no failure. Of sends only the first failure counts.
  [[nodiscard]] int io_error() const { return io_error_; }
  /// The last receive gave fewer bytes than it had room for: another one would only answer EAGAIN.
  [[nodiscard]] bool drained() const { return drained_; }
  /// The number of TLS records that the SSL wrote since open().
  [[nodiscard]] std::uint32_t records_written() const { return records_written_; }

  /// For a stream that takes the connection over from the SSL.
  [[nodiscard]] Fd release() { return std::move(fd_); }
  [[nodiscard]] std::vector<std::byte> take_kept();
  [[nodiscard]] std::vector<std::byte> take_unsent();

 private:
  friend struct SocketBioMethod;
  static constexpr int kNothingYet = -1, kBroken = -2;
  /// Returns the number of bytes, 0 at the end, or one of the two above. A write that has failed before does
  /// not make a read fail: bytes may still be there.
  int read(std::span<std::byte> into);
  int write(std::span<const std::byte> bytes);
  IoStatus outcome(const SocketIo& sent);
  void count_records(std::span<const std::byte> bytes);
  void keep_unread();

  Fd fd_;
  Buffers& buffers_;
  std::vector<std::byte> kept_;          // received before, not read yet
  std::size_t kept_read_bytes_ = 0;      // how much of kept_ the SSL has read
  std::span<const std::byte> unread_{};  // in buffers_.received, between open() and settle()
  std::size_t gathered_bytes_ = 0;       // in buffers_.sending, between open() and settle()
  Unsent unsent_;
  std::uint32_t records_written_ = 0;
  std::size_t record_rest_bytes_ = 0;  // of the record being written, not seen yet
  int receives_left_ = 0;              // until the next open()
  int io_error_ = 0;
  std::uint8_t last_octet_ = 0;
  bool ended_ = false;
  bool send_failed_ = false;
  bool drained_ = false;
  bool just_received_;  // the bytes given at the start are all that have arrived: asking again would be in
                        // vain
};

}  // namespace headgate
