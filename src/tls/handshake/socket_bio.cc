#include "tls/handshake/socket_bio.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/out_of_memory.h"
#include "tls/library/openssl_call.h"
#include "tls/record/record_layer.h"

namespace headgate {

/// The functions that OpenSSL calls; each passes its call on to the SocketBio.
struct SocketBioMethod {
  static int read(BIO* bio, char* into, int size) {
    BIO_clear_retry_flags(bio);
    auto* self = static_cast<SocketBio*>(BIO_get_data(bio));
    const int n = self->read(std::as_writable_bytes(std::span(into, static_cast<std::size_t>(size))));
    if (n == SocketBio::kNothingYet) BIO_set_retry_read(bio);
    if (n > 0) self->last_octet_ = static_cast<std::uint8_t>(into[n - 1]);
    return n < 0 ? -1 : n;
  }
  static int write(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    auto* self = static_cast<SocketBio*>(BIO_get_data(bio));
    const auto bytes = std::as_bytes(std::span(from, static_cast<std::size_t>(size)));
    const int n = unless_out_of_memory(-1, [&] { return self->write(bytes); });
    if (n < 0) self->io_error_ = ENOMEM;
    return n;
  }
  static long control(BIO* bio, int command, long, void*) {
    switch (command) {
      case BIO_CTRL_FLUSH:
        return 1;
      case BIO_CTRL_EOF:
        return static_cast<SocketBio*>(BIO_get_data(bio))->ended() ? 1 : 0;
      default:
        return 0;
    }
  }
  static int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }
  static const BIO_METHOD* method() {
    static const BioMethodPtr made = [] {
      BioMethodPtr m(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "headgate socket"));
      if (m == nullptr) throw std::bad_alloc();  // and the next call tries again
      BIO_meth_set_read(m.get(), &SocketBioMethod::read);
      BIO_meth_set_write(m.get(), &SocketBioMethod::write);
      BIO_meth_set_ctrl(m.get(), &SocketBioMethod::control);
      BIO_meth_set_create(m.get(), &SocketBioMethod::create);
      return m;
    }();
    return made.get();
  }
};

SocketBio::SocketBio(Fd fd, Buffers& buffers, std::vector<std::byte> received)
    : fd_(std::move(fd)), buffers_(buffers), kept_(std::move(received)), just_received_(!kept_.empty()) {}

Result<BioPtr> SocketBio::make_bio() {
  return call_openssl(ErrorKind::kSystem, "making a BIO",
                      [] { return BioPtr(BIO_new(SocketBioMethod::method())); });
}

void SocketBio::attach(BIO* bio) {
  BIO_set_data(bio, this);
}

void SocketBio::open(int receives) {
  receives_left_ = receives;
  records_written_ = 0;
  drained_ = std::exchange(just_received_, false);
}

IoStatus SocketBio::settle(Then then) {
  keep_unread();
  const auto gathered = std::span<const std::byte>(buffers_.sending).first(std::exchange(gathered_bytes_, 0));
  if (!unsent_.empty()) {
    unsent_.keep(gathered);
    return flush(then);
  }
  return outcome(send_or_keep(fd_.number(), gathered, unsent_, then));
}

void SocketBio::settle_holding_output() {
  keep_unread();
  unsent_.keep(std::span<const std::byte>(buffers_.sending).first(std::exchange(gathered_bytes_, 0)));
}

IoStatus SocketBio::flush(Then then) {
  return outcome(unsent_.send(fd_.number(), then));
}

// The kernel tells of a reset once. After that a send gets EPIPE, as if a FIN had come before the reset, and
// a receive finds an end.
IoStatus SocketBio::outcome(const SocketIo& sent) {
  if (sent.status == IoStatus::kFailed && !std::exchange(send_failed_, true)) io_error_ = sent.error;
  return sent.status;
}

void SocketBio::discard() {
  gathered_bytes_ = 0;
  unread_ = {};
}

// A handshake record without protection, longer than any may be.
void SocketBio::break_off() {
  constexpr std::array kHeader{std::byte{22}, std::byte{3}, std::byte{3}, std::byte{0xff}, std::byte{0xff}};
  kept_.assign(kHeader.begin(), kHeader.end());
  kept_read_bytes_ = 0;
  unread_ = {};
  ended_ = true;
}

std::vector<std::byte> SocketBio::take_kept() {
  keep_unread();
  return std::exchange(kept_, {});
}

std::vector<std::byte> SocketBio::take_unsent() {
  const Unsent taken = std::exchange(unsent_, Unsent());
  return {taken.bytes().begin(), taken.bytes().end()};
}

int SocketBio::read(std::span<std::byte> into) {
  if (kept_read_bytes_ < kept_.size()) {
    const std::size_t size = std::min(into.size(), kept_.size() - kept_read_bytes_);
    std::copy_n(kept_.begin() + static_cast<std::ptrdiff_t>(kept_read_bytes_), size, into.begin());
    kept_read_bytes_ += size;
    return static_cast<int>(size);
  }
  if (unread_.empty()) {
    if (ended_) return 0;
    if (drained_ || receives_left_ == 0) return kNothingYet;
    --receives_left_;
    const SocketIo got = receive_some(fd_.number(), buffers_.received);
    if (got.status == IoStatus::kFailed) {
      io_error_ = got.error;
      return kBroken;
    }
    ended_ = got.status == IoStatus::kEnded;
    if (got.status != IoStatus::kDone) return ended_ ? 0 : kNothingYet;
    drained_ = got.size_bytes < buffers_.received.size();
    unread_ = std::span<const std::byte>(buffers_.received).first(got.size_bytes);
  }
  const std::size_t size = std::min(into.size(), unread_.size());
  std::copy_n(unread_.begin(), size, into.begin());
  unread_ = unread_.subspan(size);
  return static_cast<int>(size);
}

int SocketBio::write(std::span<const std::byte> bytes) {
  count_records(bytes);
  if (gathered_bytes_ + bytes.size() > buffers_.sending.size()) {
    unsent_.keep(std::span<const std::byte>(buffers_.sending).first(std::exchange(gathered_bytes_, 0)));
    unsent_.keep(bytes);
  } else {
    std::copy_n(bytes.begin(), bytes.size(),
                buffers_.sending.begin() + static_cast<std::ptrdiff_t>(gathered_bytes_));
    gathered_bytes_ += bytes.size();
  }
  return static_cast<int>(bytes.size());
}

// OpenSSL hands over whole records, one or several at a time, but does not promise to.
void SocketBio::count_records(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (record_rest_bytes_ == 0) {
      if (bytes.size() < kRecordHeaderBytes) return;
      ++records_written_;
      record_rest_bytes_ = kRecordHeaderBytes + (std::to_integer<std::size_t>(bytes[3]) << 8U) +
                           std::to_integer<std::size_t>(bytes[4]);
    }
    const std::size_t taken = std::min(record_rest_bytes_, bytes.size());
    record_rest_bytes_ -= taken;
    bytes = bytes.subspan(taken);
  }
}

void SocketBio::keep_unread() {
  if (kept_read_bytes_ == kept_.size()) {
    if (kept_.capacity() > 0) kept_ = {};
  } else {
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(kept_read_bytes_));
  }
  kept_read_bytes_ = 0;
  kept_.insert(kept_.end(), unread_.begin(), unread_.end());
  unread_ = {};
}

}  // namespace headgate
