#include "tls/library/early_data.h"

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include "tls/handshake/ssl_extra_data.h"
#include "tls/octets.h"
#include "tls/record/record_layer.h"

namespace headgate {
namespace {

// RFC 8446, sections 5.1 and 5.2.
constexpr std::uint8_t kApplicationDataRecord = 23;
constexpr std::size_t kMaxProtectedBytes = kMaxRecordContentBytes + 256;

/// Passes the records of one client on, and drops those of early data. Its BIO owns it. OpenSSL has chains of
/// BIOs for that, but its versions differ in how many BIOs of a chain they free.
class RetryFilter {
 public:
  RetryFilter(SSL* ssl, BioPtr source) : ssl_(ssl), source_(std::move(source)) {}

  /// Returns as BIO_read() does: bytes, 0 at the end, negative when the source has none now.
  int read(std::span<char> into) {
    for (;;) {
      if (drop_bytes_ > 0) {
        if (const int n = drop(); n <= 0) return n;
      } else if (header_passed_bytes_ < header_bytes_) {
        return pass_header(into);
      } else if (pass_bytes_ > 0 || !awaits_second_hello()) {
        return pass(into);
      } else if (const int n = read_header(); n <= 0) {
        return n;
      }
    }
  }
  [[nodiscard]] BIO* source() const { return source_.get(); }

 private:
  /// OpenSSL reads record by record, so when it has sent a HelloRetryRequest it is between two records.
  [[nodiscard]] bool awaits_second_hello() const {
    const SslExtraData& extra = *extra_data_of(ssl_);
    return extra.server_hellos == 1 && !extra.finished_sent && SSL_version(ssl_) == TLS1_3_VERSION;
  }

  int drop() {
    std::array<char, 4096> scratch{};
    const int n = BIO_read(source(), scratch.data(), static_cast<int>(std::min(scratch.size(), drop_bytes_)));
    if (n > 0) drop_bytes_ -= static_cast<std::size_t>(n);
    return n;
  }

  int pass(std::span<char> into) {
    const std::size_t most = pass_bytes_ > 0 ? std::min(into.size(), pass_bytes_) : into.size();
    const int n = BIO_read(source(), into.data(), static_cast<int>(most));
    if (n > 0 && pass_bytes_ > 0) pass_bytes_ -= static_cast<std::size_t>(n);
    return n;
  }

  int pass_header(std::span<char> into) {
    const std::size_t size = std::min(into.size(), header_bytes_ - header_passed_bytes_);
    std::copy_n(header_.begin() + static_cast<std::ptrdiff_t>(header_passed_bytes_), size, into.begin());
    header_passed_bytes_ += size;
    if (header_passed_bytes_ == header_.size()) header_bytes_ = header_passed_bytes_ = 0;
    return static_cast<int>(size);
  }

  /// Reads what is there of the next record's header, and decides about the record when its header is whole.
  /// A part of a header is passed on only when the rest of it has come.
  int read_header() {
    const int n = BIO_read(source(), header_.data() + partial_bytes_,
                           static_cast<int>(header_.size() - partial_bytes_));
    if (n <= 0) return n;
    partial_bytes_ += static_cast<std::size_t>(n);
    if (partial_bytes_ == header_.size()) {
      partial_bytes_ = 0;
      decide();
    }
    return n;
  }

  void decide() {
    const auto header = std::as_bytes(std::span(header_));
    const std::size_t size = std::size_t{octet_at(header, 3)} << 8 | octet_at(header, 4);
    const bool is_early_data = octet_at(header, 0) == kApplicationDataRecord && size <= kMaxProtectedBytes;
    if (is_early_data && size <= rest_bytes_) {
      rest_bytes_ -= size;
      drop_bytes_ = size;
      return;
    }
    header_bytes_ = header_.size();
    pass_bytes_ = size;
    if (is_early_data) make_openssl_refuse();
  }

  /// OpenSSL gets an empty record of early data, where it may skip no more of it: unexpected_message.
  void make_openssl_refuse() {
    SSL_set_recv_max_early_data(ssl_, 0);
    header_[3] = header_[4] = 0;
    pass_bytes_ = 0;
  }

  SSL* ssl_;
  BioPtr source_;
  std::array<char, kRecordHeaderBytes> header_{};
  std::size_t partial_bytes_ = 0;        // of a header that is not whole
  std::size_t header_bytes_ = 0;         // of a header to be passed on: all of it, or none
  std::size_t header_passed_bytes_ = 0;  // the part of it that OpenSSL has read
  std::size_t pass_bytes_ = 0;           // of a record that OpenSSL gets, still to come
  std::size_t drop_bytes_ = 0;           // of a record that OpenSSL does not get, still to come
  std::size_t rest_bytes_ = kMaxSkippedEarlyDataBytes;
};

RetryFilter& filter_of(BIO* bio) {
  return *static_cast<RetryFilter*>(BIO_get_data(bio));
}

int read_filtered(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  RetryFilter& filter = filter_of(bio);
  const int n = filter.read(std::span(into, static_cast<std::size_t>(size)));
  if (n <= 0 && BIO_should_retry(filter.source())) BIO_set_retry_read(bio);
  return n;
}

long control_source(BIO* bio, int command, long number, void* pointer) {
  return BIO_ctrl(filter_of(bio).source(), command, number, pointer);
}

int destroy_filter(BIO* bio) {
  const std::unique_ptr<RetryFilter> owned(static_cast<RetryFilter*>(BIO_get_data(bio)));
  BIO_set_data(bio, nullptr);
  return 1;
}

/// OpenSSL numbers the kinds of BIO once per process.
int filter_type() {
  static const int type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK;
  return type;
}

const BIO_METHOD* filter_method() {
  static const BioMethodPtr made = [] {
    BioMethodPtr method(BIO_meth_new(filter_type(), "headgate early data"));
    BIO_meth_set_read(method.get(), read_filtered);
    BIO_meth_set_ctrl(method.get(), control_source);
    BIO_meth_set_destroy(method.get(), destroy_filter);
    return method;
  }();
  return made.get();
}

}  // namespace

void skip_early_data(SSL_CTX* context) {
  // The first bound is that of early data which tickets allow, the second that of early data which may come.
  SSL_CTX_set_max_early_data(context, 0);
  SSL_CTX_set_recv_max_early_data(context, kMaxSkippedEarlyDataBytes);
}

bool skip_early_data_after_retry(SSL* ssl) {
  BioPtr bio(BIO_new(filter_method()));
  if (bio == nullptr) return false;
  BIO* source = SSL_get_rbio(ssl);
  BIO_up_ref(source);
  BIO_set_data(bio.get(), std::make_unique<RetryFilter>(ssl, BioPtr(source)).release());
  BIO_set_init(bio.get(), 1);
  SSL_set0_rbio(ssl, bio.release());
  return true;
}

void end_skipping_early_data(SSL* ssl) {
  BIO* reading = SSL_get_rbio(ssl);
  if (BIO_method_type(reading) != filter_type()) return;
  BIO* source = filter_of(reading).source();
  BIO_up_ref(source);
  SSL_set0_rbio(ssl, source);
}

}  // namespace headgate
