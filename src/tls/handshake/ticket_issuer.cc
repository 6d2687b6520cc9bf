#include "tls/handshake/ticket_issuer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <utility>

#include "base/check.h"
#include "tls/handshake/byte_writer.h"
#include "tls/library/tickets.h"
#include "tls/octets.h"

namespace headgate {
namespace {

constexpr std::uint8_t kTicketMessage = 4;
constexpr std::size_t kAgeAddBytes = 4;
constexpr std::size_t kRandomBytes = kAgeAddBytes + kTicketIvBytes;  // of a ticket
constexpr std::size_t kMostTicketBytes = std::numeric_limits<std::uint16_t>::max();
// RFC 8446, section 4.6.1: a week.
constexpr std::chrono::seconds kMaxLifetime{7 * 24 * 3600};

/// Wipes a buffer that held a session when it is destroyed.
class EncodedSession {
 public:
  explicit EncodedSession(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  EncodedSession(const EncodedSession&) = delete;
  EncodedSession& operator=(const EncodedSession&) = delete;
  ~EncodedSession() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

  [[nodiscard]] Octets octets() const { return bytes_; }
  /// The place of `key` in it; empty when it has no such place.
  [[nodiscard]] std::span<std::byte> find(Octets key) {
    const auto found = std::ranges::search(bytes_, key);
    return found.size() == key.size() ? std::span(found.begin(), found.end()) : std::span<std::byte>();
  }

 private:
  std::vector<std::byte> bytes_;
};

/// The pre-shared key of one ticket, wiped when it is destroyed.
class ResumptionKey {
 public:
  ResumptionKey(Octets resumption_secret, std::byte nonce) : size_bytes_(resumption_secret.size()) {
    const Hash hash = size_bytes_ == size_bytes(Hash::kSha384) ? Hash::kSha384 : Hash::kSha256;
    expand_label(hash, resumption_secret, "resumption", std::span(&nonce, 1),
                 std::span(bytes_).first(size_bytes_));
  }
  ResumptionKey(const ResumptionKey&) = delete;
  ResumptionKey& operator=(const ResumptionKey&) = delete;
  ~ResumptionKey() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

  [[nodiscard]] Octets octets() const { return std::span(bytes_).first(size_bytes_); }

 private:
  std::array<std::byte, kMaxHashBytes> bytes_{};
  std::size_t size_bytes_;
};

}  // namespace

TicketIssuer::TicketIssuer(const LibraryContext& library, TicketKeys& keys)
    : library_(library), keys_(keys), protection_(library) {}

std::vector<std::byte> TicketIssuer::issue(const TicketOrder& order, WallTime now) {
  HG_CHECK(order.count <= std::numeric_limits<std::uint8_t>::max());
  const TicketKey* key = keys_.issuing(now);
  if (key == nullptr || order.count == 0 || order.lifetime <= std::chrono::seconds::zero()) return {};

  const ResumptionKey first(order.resumption_secret, std::byte{0});
  EncodedSession session(encode_session(order.session, first.octets(), order.app_data));
  const std::span<std::byte> key_in_session = session.find(first.octets());
  const std::size_t ticket_size = ticket_bytes(session.octets().size());
  if (key_in_session.empty() || ticket_size > kMostTicketBytes) return {};

  std::vector<std::byte> random(order.count * kRandomBytes);
  if (!library_.random({as_octets(random.data()), random.size()})) return {};

  // RFC 8446, section 4.6.1: lifetime, age_add, nonce, ticket, extensions.
  const std::size_t body_size = 4 + kAgeAddBytes + (1 + 1) + (2 + ticket_size) + 2;
  ByteWriter messages;
  messages.reserve(order.count * (4 + body_size));
  std::vector<std::byte> ticket(ticket_size);
  for (std::size_t nonce = 0; nonce < order.count; ++nonce) {
    if (nonce > 0) {
      const ResumptionKey its_own(order.resumption_secret, static_cast<std::byte>(nonce));
      std::ranges::copy(its_own.octets(), key_in_session.begin());
    }
    const Octets its_random = std::span(random).subspan(nonce * kRandomBytes, kRandomBytes);
    if (!protection_.seal(session.octets(), *key, its_random.last(kTicketIvBytes), ticket)) return {};
    messages.number(kTicketMessage, 1);
    messages.number(body_size, 3);
    messages.number(static_cast<std::size_t>(std::min(order.lifetime, kMaxLifetime).count()), 4);
    messages.raw(its_random.first(kAgeAddBytes));
    messages.number(1, 1);
    messages.number(nonce, 1);
    messages.number(ticket_size, 2);
    messages.raw(ticket);
    messages.number(0, 2);
  }
  protection_.forget_key();
  return messages.take();
}

}  // namespace headgate
