#include "lives/records.h"

#include <cstring>
#include <vector>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

#include "base/check.h"

namespace headgate::lives {
namespace {

constexpr std::size_t kExplicitNonceBytes = 8;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void append_number(std::string& to, std::uint64_t number, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) to += static_cast<char>(number >> shift & 0xffU);
}

/// The additional data of TLS 1.2: sequence number, type, version, length of the content.
std::string additional_data(std::uint64_t sequence_number, char type, std::size_t size) {
  std::string data;
  append_number(data, sequence_number, 8);
  data += type;
  append_number(data, TLS1_2_VERSION, 2);
  append_number(data, size, 2);
  return data;
}

const unsigned char* octets(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// HMAC-SHA-256 of `data` by the master secret.
std::string hmac(std::span<const unsigned char> master, const std::string& data) {
  std::string mac(32, '\0');
  unsigned size = 0;
  HG_CHECK(HMAC(EVP_sha256(), master.data(), static_cast<int>(master.size()), octets(data), data.size(),
                reinterpret_cast<unsigned char*>(mac.data()), &size) != nullptr);
  return mac;
}

/// RFC 5246, section 6.3: the keys and salts of both directions. OpenSSL keeps the master secret.
std::string key_block(SSL* ssl) {
  std::array<unsigned char, 48> master{};
  HG_CHECK(SSL_SESSION_get_master_key(SSL_get_session(ssl), master.data(), master.size()) == master.size());
  std::string seed(std::string("key expansion") + std::string(2 * SSL3_RANDOM_SIZE, '\0'));
  auto* randoms = reinterpret_cast<unsigned char*>(seed.data()) + std::strlen("key expansion");
  SSL_get_server_random(ssl, randoms, SSL3_RANDOM_SIZE);
  SSL_get_client_random(ssl, randoms + SSL3_RANDOM_SIZE, SSL3_RANDOM_SIZE);
  std::string block;  // P_SHA256 of section 5
  for (std::string a = hmac(master, seed); block.size() < 40; a = hmac(master, a))
    block += hmac(master, a + seed);
  return block;
}

}  // namespace

std::string Tls13Records::seal(ContentType type, std::string_view content) {
  std::vector<std::byte> record(content.size() + kRecordOverheadBytes);
  return text_of(std::span(record).first(protector_.seal(type, bytes_of(content), record)));
}

std::string Tls13Records::seal_key_update(KeyUpdateRequest request) {
  std::array<std::byte, 64> record{};
  return text_of(std::span(record).first(protector_.seal_key_update(request, record)));
}

Records::Opened Tls13Records::open(std::string& bytes) {
  Opened result;
  static std::vector<std::byte> room(1 << 17);
  while (!is_over_) {
    const RecordOpener::Opened opened = opener_.open(bytes_of(bytes), room);
    bytes.erase(0, opened.consumed_bytes);
    result.data += text_of(std::span(room).first(opened.produced_bytes));
    if (opened.status == RecordOpener::Status::kNoRoom) continue;
    if (opened.status == RecordOpener::Status::kNeedsMore) return result;
    is_over_ = true;
    result.close_notify = opened.status == RecordOpener::Status::kEnded;
    result.is_legal = opened.status != RecordOpener::Status::kProtocol;
    if (opened.status == RecordOpener::Status::kPeerAlert) result.alert = static_cast<int>(opened.alert);
  }
  return result;
}

Tls12Records::Tls12Records(SSL* ssl) : context_(EVP_CIPHER_CTX_new()) {
  const std::string block = key_block(ssl);
  const bool server = SSL_is_server(ssl) == 1;
  Direction& client_writes = server ? receiving_ : sending_;
  Direction& server_writes = server ? sending_ : receiving_;
  std::memcpy(client_writes.key.data(), block.data(), 16);
  std::memcpy(server_writes.key.data(), block.data() + 16, 16);
  std::memcpy(client_writes.salt.data(), block.data() + 32, 4);
  std::memcpy(server_writes.salt.data(), block.data() + 36, 4);
  HG_CHECK(EVP_CipherInit_ex(context_.get(), EVP_aes_128_gcm(), nullptr, nullptr, nullptr, 1) == 1);
}

std::string Tls12Records::seal(ContentType type, std::string_view content) {
  const std::uint64_t number = sending_.sequence_number++;
  std::string nonce(reinterpret_cast<const char*>(sending_.salt.data()), sending_.salt.size());
  append_number(nonce, number, kExplicitNonceBytes);
  const std::string data = additional_data(number, static_cast<char>(type), content.size());
  std::string sealed(content.size(), '\0');
  std::string tag(kTagBytes, '\0');
  int size = 0;
  EVP_CIPHER_CTX* const aead = context_.get();
  HG_CHECK(EVP_CipherInit_ex(aead, nullptr, nullptr, sending_.key.data(), octets(nonce), 1) == 1);
  HG_CHECK(EVP_CipherUpdate(aead, nullptr, &size, octets(data), static_cast<int>(data.size())) == 1);
  HG_CHECK(EVP_CipherUpdate(aead, reinterpret_cast<unsigned char*>(sealed.data()), &size,
                            reinterpret_cast<const unsigned char*>(content.data()),
                            static_cast<int>(content.size())) == 1);
  HG_CHECK(EVP_CipherFinal_ex(aead, reinterpret_cast<unsigned char*>(tag.data()), &size) == 1);
  HG_CHECK(EVP_CIPHER_CTX_ctrl(aead, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag.data()) == 1);
  std::string record;
  record += static_cast<char>(type);
  append_number(record, TLS1_2_VERSION, 2);
  append_number(record, kExplicitNonceBytes + sealed.size() + tag.size(), 2);
  return record + nonce.substr(sending_.salt.size()) + sealed + tag;
}

Records::Opened Tls12Records::open(std::string& bytes) {
  Opened result;
  while (result.is_legal) {
    const std::size_t size = record_size_bytes(bytes_of(bytes));
    if (size == 0 || size > bytes.size()) break;
    std::string content;
    result.is_legal = open_record(std::string_view(bytes).substr(0, size), content);
    const auto type = static_cast<ContentType>(bytes[0]);
    bytes.erase(0, size);
    if (type == ContentType::kApplicationData) result.data += content;
    if (type != ContentType::kAlert || content.size() != 2) continue;
    if (content[1] == 0) result.close_notify = true;
    if (content[1] != 0) result.alert = static_cast<unsigned char>(content[1]);
  }
  return result;
}

bool Tls12Records::open_record(std::string_view record, std::string& content) {
  const std::size_t overhead = kRecordHeaderBytes + kExplicitNonceBytes + kTagBytes;
  if (record.size() < overhead) return false;
  const std::uint64_t number = receiving_.sequence_number++;
  std::string nonce(reinterpret_cast<const char*>(receiving_.salt.data()), receiving_.salt.size());
  nonce += record.substr(kRecordHeaderBytes, kExplicitNonceBytes);
  const std::string body(record.substr(kRecordHeaderBytes + kExplicitNonceBytes, record.size() - overhead));
  std::string tag(record.substr(record.size() - kTagBytes));
  const std::string data = additional_data(number, record[0], body.size());
  content.assign(body.size(), '\0');
  unsigned char last[16];
  int size = 0;
  EVP_CIPHER_CTX* const aead = context_.get();
  return EVP_CipherInit_ex(aead, nullptr, nullptr, receiving_.key.data(), octets(nonce), 0) == 1 &&
         EVP_CipherUpdate(aead, nullptr, &size, octets(data), static_cast<int>(data.size())) == 1 &&
         EVP_CipherUpdate(aead, reinterpret_cast<unsigned char*>(content.data()), &size, octets(body),
                          static_cast<int>(body.size())) == 1 &&
         EVP_CIPHER_CTX_ctrl(aead, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1 &&
         EVP_CipherFinal_ex(aead, last, &size) == 1;
}

}  // namespace headgate::lives
