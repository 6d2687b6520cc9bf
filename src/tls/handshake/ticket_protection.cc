#include "tls/handshake/ticket_protection.h"

#include <algorithm>
#include <array>

#include <openssl/crypto.h>

#include "tls/library/openssl_call.h"
#include "tls/octets.h"

namespace headgate {
namespace {

constexpr std::size_t kBlockBytes = 16;
/// Name, IV, one block, MAC.
constexpr std::size_t kLeastTicketBytes = kTicketOverheadBytes;

/// HKDF-Extract is HMAC. RFC 5869, section 2.2.
void authenticate(const TicketKey& key, Octets bytes, std::span<std::byte, kTicketMacBytes> into) {
  extract(Hash::kSha256, std::as_bytes(std::span(key.mac)), bytes, into);
}

}  // namespace

std::size_t ticket_bytes(std::size_t session_bytes) {
  const std::size_t padded = (session_bytes / kBlockBytes + 1) * kBlockBytes;
  return kTicketNameBytes + kTicketIvBytes + padded + kTicketMacBytes;
}

std::span<const unsigned char, kTicketNameBytes> ticket_name(Octets ticket) {
  return std::span<const unsigned char, kTicketNameBytes>(as_octets(ticket.data()), kTicketNameBytes);
}

bool is_ticket_of(const TicketKey& key, Octets ticket) {
  if (ticket.size() < kLeastTicketBytes) return false;
  std::array<std::byte, kTicketMacBytes> expected{};
  authenticate(key, ticket.first(ticket.size() - expected.size()), expected);
  return CRYPTO_memcmp(expected.data(), ticket.last(expected.size()).data(), expected.size()) == 0;
}

bool TicketProtection::make_context() {
  if (cipher_ == nullptr) cipher_.reset(EVP_CIPHER_CTX_new());
  return cipher_ != nullptr;
}

void TicketProtection::forget_key() {
  constexpr std::array<unsigned char, sizeof(TicketKey::aes)> kNoKey{};
  if (cipher_ != nullptr) EVP_EncryptInit_ex(cipher_.get(), nullptr, nullptr, kNoKey.data(), nullptr);
}

bool TicketProtection::seal(Octets session, const TicketKey& key, Octets iv, std::span<std::byte> ticket) {
  if (!make_context()) return false;
  const auto authenticated = ticket.first(ticket.size() - kTicketMacBytes);
  std::ranges::copy(iv, std::ranges::copy(std::as_bytes(std::span(key.name)), ticket.begin()).out);
  unsigned char* into = as_octets(authenticated.subspan(kTicketNameBytes + kTicketIvBytes).data());
  int size = 0;
  int rest = 0;
  EVP_CIPHER_CTX* cipher = cipher_.get();
  if (EVP_EncryptInit_ex(cipher, library_.aes_256_cbc(), nullptr, key.aes.data(), as_octets(iv.data())) !=
          1 ||
      EVP_EncryptUpdate(cipher, into, &size, as_octets(session.data()), static_cast<int>(session.size())) !=
          1 ||
      EVP_EncryptFinal_ex(cipher, into + size, &rest) != 1)
    return false;
  authenticate(key, authenticated, ticket.last<kTicketMacBytes>());
  return true;
}

std::vector<std::byte> TicketProtection::open(Octets ticket, const TicketKey& key) {
  if (!is_ticket_of(key, ticket) || !make_context()) return {};
  const Octets iv = ticket.subspan(kTicketNameBytes, kTicketIvBytes);
  const Octets sealed =
      ticket.subspan(kTicketNameBytes + kTicketIvBytes, ticket.size() - ticket_bytes(0) + kBlockBytes);
  std::vector<std::byte> session(sealed.size());
  int size = 0;
  int rest = 0;
  EVP_CIPHER_CTX* cipher = cipher_.get();
  unsigned char* into = as_octets(session.data());
  const bool opened = ask_openssl([&] {
    return EVP_DecryptInit_ex(cipher, library_.aes_256_cbc(), nullptr, key.aes.data(),
                              as_octets(iv.data())) == 1 &&
           EVP_DecryptUpdate(cipher, into, &size, as_octets(sealed.data()),
                             static_cast<int>(sealed.size())) == 1 &&
           EVP_DecryptFinal_ex(cipher, into + size, &rest) == 1;
  });
  session.resize(opened ? static_cast<std::size_t>(size + rest) : 0);
  return session;
}

}  // namespace headgate
