#include "tls/handshake/ticket_issuer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include <openssl/rand.h>

#include "base/check.h"
#include "tls/handshake/byte_writer.h"
#include "tls/octets.h"

namespace headgate {
namespace {

constexpr std::uint8_t kTicketMessage = 4;
constexpr std::size_t kNameBytes = 16;
constexpr std::size_t kInitialVectorBytes = 16;
constexpr std::size_t kAgeAddBytes = 4;
constexpr std::size_t kRandomBytes = kAgeAddBytes + kInitialVectorBytes;  // of a ticket
constexpr std::size_t kPaddingBlockBytes = 16;
constexpr std::size_t kMacBytes = 32;
constexpr std::size_t kMostTicketBytes = std::numeric_limits<std::uint16_t>::max();
// RFC 8446, section 4.6.1: a week.
constexpr std::chrono::seconds kMaxLifetime{7 * 24 * 3600};

/// Wipes a buffer that held a session when it is destroyed.
class EncodedSession {
 public:
  explicit EncodedSession(SSL_SESSION* session) {
    const int size = i2d_SSL_SESSION(session, nullptr);
    if (size <= 0) return;
    bytes_.resize(static_cast<std::size_t>(size));
    unsigned char* end = as_octets(bytes_.data());
    if (i2d_SSL_SESSION(session, &end) != size) bytes_.clear();
  }
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

std::size_t ticket_bytes(std::size_t session_bytes) {
  const std::size_t padded = (session_bytes / kPaddingBlockBytes + 1) * kPaddingBlockBytes;
  return kNameBytes + kInitialVectorBytes + padded + kMacBytes;
}

}  // namespace

TicketIssuer::TicketIssuer(const LibraryContext& library, TicketKeys& keys)
    : library_(library), keys_(keys) {}

std::vector<std::byte> TicketIssuer::issue(const TicketOrder& order, WallTime now) {
  HG_CHECK(order.count <= std::numeric_limits<std::uint8_t>::max());
  const TicketKey* key = keys_.issuing(now);
  if (key == nullptr || order.count == 0 || order.lifetime <= std::chrono::seconds::zero()) return {};

  const ResumptionKey first(order.resumption_secret, std::byte{0});
  const auto* first_octets = as_octets(first.octets().data());
  if (SSL_SESSION_set1_master_key(order.session, first_octets, first.octets().size()) != 1) return {};
  EncodedSession session(order.session);
  const std::span<std::byte> key_in_session = session.find(first.octets());
  const std::size_t ticket_size = ticket_bytes(session.octets().size());
  if (key_in_session.empty() || ticket_size > kMostTicketBytes) return {};

  std::vector<std::byte> random(order.count * kRandomBytes);
  if (RAND_bytes_ex(library_.get(), as_octets(random.data()), random.size(), 0) != 1) return {};

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
    if (!protect(session.octets(), *key, its_random.last(kInitialVectorBytes), ticket)) return {};
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
  forget_key();
  return messages.take();
}

// OpenSSL's memory may be written to the swap space, and that of the keys may not.
void TicketIssuer::forget_key() {
  constexpr std::array<unsigned char, sizeof(TicketKey::aes)> kNoKey{};
  EVP_EncryptInit_ex2(cipher_.get(), nullptr, kNoKey.data(), nullptr, nullptr);
}

bool TicketIssuer::protect(Octets session, const TicketKey& key, Octets iv, std::span<std::byte> ticket) {
  if (cipher_ == nullptr) cipher_.reset(EVP_CIPHER_CTX_new());
  if (cipher_ == nullptr) return false;
  const auto mac = ticket.last(kMacBytes);
  const auto authenticated = ticket.first(ticket.size() - kMacBytes);
  std::ranges::copy(iv, std::ranges::copy(std::as_bytes(std::span(key.name)), ticket.begin()).out);

  unsigned char* into = as_octets(authenticated.subspan(kNameBytes + kInitialVectorBytes).data());
  int size = 0;
  int rest = 0;
  EVP_CIPHER_CTX* cipher = cipher_.get();
  if (EVP_EncryptInit_ex2(cipher, library_.aes_256_cbc(), key.aes.data(), as_octets(iv.data()), nullptr) !=
          1 ||
      EVP_EncryptUpdate(cipher, into, &size, as_octets(session.data()), static_cast<int>(session.size())) !=
          1 ||
      EVP_EncryptFinal_ex(cipher, into + size, &rest) != 1) {
    return false;
  }
  extract(Hash::kSha256, std::as_bytes(std::span(key.mac)), authenticated, mac);  // which is HMAC
  return true;
}

}  // namespace headgate
