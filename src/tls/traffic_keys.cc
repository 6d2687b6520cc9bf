#include "tls/traffic_keys.h"

#include <algorithm>
#include <cstring>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "base/check.h"
#include "tls/octets.h"

namespace headgate {
namespace {

constexpr std::array<RecordSuiteRow, kRecordSuiteCount> kSuites{{
    {0x1301, "AES-128-GCM", "SHA256", 16, 32},
    {0x1302, "AES-256-GCM", "SHA384", 32, 48},
    {0x1303, "ChaCha20-Poly1305", "SHA256", 32, 32},
}};

constexpr std::string_view kLabelPrefix = "tls13 ";
constexpr std::size_t kMaxLabelBytes = 16;

/// The struct HkdfLabel with an empty context, and the counter of HKDF-Expand's only block behind it. RFC
/// 8446, section 7.1; RFC 5869, section 2.3.
class LabelInfo {
 public:
  LabelInfo(std::string_view label, std::size_t output_bytes) {
    HG_CHECK(label.size() <= kMaxLabelBytes);
    put(0);
    put(static_cast<unsigned char>(output_bytes));
    put(static_cast<unsigned char>(kLabelPrefix.size() + label.size()));
    put(kLabelPrefix);
    put(label);
    put(0);
    put(1);
  }
  [[nodiscard]] const unsigned char* data() const { return octets_.data(); }
  [[nodiscard]] std::size_t size_bytes() const { return size_bytes_; }

 private:
  void put(unsigned char octet) { octets_[size_bytes_++] = octet; }
  void put(std::string_view text) {
    std::memcpy(octets_.data() + size_bytes_, text.data(), text.size());
    size_bytes_ += text.size();
  }

  std::array<unsigned char, 5 + kLabelPrefix.size() + kMaxLabelBytes> octets_;
  std::size_t size_bytes_ = 0;
};

MacCtxPtr make_hmac(OSSL_LIB_CTX* library, const char* digest) {
  const MacPtr hmac(EVP_MAC_fetch(library, OSSL_MAC_NAME_HMAC, nullptr));
  MacCtxPtr context(hmac ? EVP_MAC_CTX_new(hmac.get()) : nullptr);
  char name[16] = {};
  std::strncpy(name, digest, sizeof name - 1);
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                               OSSL_PARAM_construct_end()};
  if (context && EVP_MAC_CTX_set_params(context.get(), params) == 1) return context;
  ERR_clear_error();
  return nullptr;
}

std::size_t hash_index(RecordSuite suite) {
  return row(suite).secret_bytes == kMaxSecretBytes ? 1 : 0;
}

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/// The secret that `hex` spells; empty unless it has the length of a hash that a suite uses.
TrafficSecret secret_from_hex(std::string_view hex) {
  std::array<std::byte, kMaxSecretBytes> bytes;
  const std::size_t size = hex.size() / 2;
  const auto fits = [hex](const RecordSuiteRow& suite) { return hex.size() == 2 * suite.secret_bytes; };
  if (std::none_of(kSuites.begin(), kSuites.end(), fits)) return {};
  int malformed = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const int octet = hex_value(hex[2 * i]) * 16 | hex_value(hex[2 * i + 1]);
    malformed |= octet;
    bytes[i] = static_cast<std::byte>(octet);
  }
  TrafficSecret secret;
  if (malformed >= 0) secret = TrafficSecret(std::span(bytes).first(size));
  OPENSSL_cleanse(bytes.data(), size);
  return secret;
}

}  // namespace

const RecordSuiteRow& row(RecordSuite suite) {
  return kSuites[static_cast<std::size_t>(suite)];
}

std::optional<RecordSuite> find_record_suite(std::uint16_t number) {
  for (std::size_t i = 0; i < kSuites.size(); ++i) {
    if (kSuites[i].number == number) return static_cast<RecordSuite>(i);
  }
  return std::nullopt;
}

TrafficSecret::TrafficSecret(std::span<const std::byte> bytes)
    : size_bytes_(static_cast<std::uint8_t>(bytes.size())) {
  HG_CHECK(bytes.size() <= kMaxSecretBytes);
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

TrafficSecret::TrafficSecret(TrafficSecret&& other) noexcept : TrafficSecret(other.bytes()) {
  other.wipe();
}

TrafficSecret& TrafficSecret::operator=(TrafficSecret&& other) noexcept {
  if (this == &other) return *this;
  wipe();
  size_bytes_ = other.size_bytes_;
  std::copy_n(other.bytes_.begin(), size_bytes_, bytes_.begin());
  other.wipe();
  return *this;
}

void TrafficSecret::wipe() {
  OPENSSL_cleanse(bytes_.data(), size_bytes_);
  size_bytes_ = 0;
}

void TrafficKeys::wipe() {
  OPENSSL_cleanse(key.data(), key.size());
  OPENSSL_cleanse(iv.data(), iv.size());
}

KeyDerivation::KeyDerivation(OSSL_LIB_CTX* library) {
  for (const RecordSuite suite : {RecordSuite::kAes128GcmSha256, RecordSuite::kAes256GcmSha384}) {
    hashes_[hash_index(suite)].hmac = make_hmac(library, row(suite).digest);
  }
}

bool KeyDerivation::supports(RecordSuite suite) const {
  return hashes_[hash_index(suite)].hmac != nullptr;
}

void KeyDerivation::derive_keys(RecordSuite suite, const TrafficSecret& secret, TrafficKeys& into) {
  Hash& hash = hashes_[hash_index(suite)];
  set_secret(hash, secret);
  expand(hash, "key", std::span(into.key).first(row(suite).key_bytes));
  set_same_secret(hash);
  expand(hash, "iv", into.iv);
}

TrafficSecret KeyDerivation::next_secret(RecordSuite suite, const TrafficSecret& secret) {
  std::array<std::byte, kMaxSecretBytes> bytes;
  const std::span<std::byte> next = std::span(bytes).first(row(suite).secret_bytes);
  expand_label(suite, secret, "traffic upd", next);
  TrafficSecret result{next};
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return result;
}

void KeyDerivation::expand_label(RecordSuite suite, const TrafficSecret& secret, std::string_view label,
                                 std::span<std::byte> into) {
  Hash& hash = hashes_[hash_index(suite)];
  set_secret(hash, secret);
  expand(hash, label, into);
}

void KeyDerivation::forget_secrets() {
  constexpr std::array<unsigned char, kMaxSecretBytes> kNothing{};
  for (Hash& hash : hashes_) {
    if (hash.used) EVP_MAC_init(hash.hmac.get(), kNothing.data(), kNothing.size(), nullptr);
    hash.used = false;
  }
}

void KeyDerivation::set_secret(Hash& hash, const TrafficSecret& secret) {
  const auto bytes = secret.bytes();
  HG_CHECK(EVP_MAC_init(hash.hmac.get(), as_octets(bytes.data()), bytes.size(), nullptr) == 1);
  hash.used = true;
}

void KeyDerivation::set_same_secret(Hash& hash) {
  HG_CHECK(EVP_MAC_init(hash.hmac.get(), nullptr, 0, nullptr) == 1);
}

void KeyDerivation::expand(Hash& hash, std::string_view label, std::span<std::byte> into) {
  const LabelInfo info(label, into.size());
  std::array<unsigned char, kMaxSecretBytes> block;
  std::size_t block_bytes = 0;
  HG_CHECK(EVP_MAC_update(hash.hmac.get(), info.data(), info.size_bytes()) == 1);
  HG_CHECK(EVP_MAC_final(hash.hmac.get(), block.data(), &block_bytes, block.size()) == 1);
  HG_CHECK(into.size() <= block_bytes);
  std::memcpy(into.data(), block.data(), into.size());
  OPENSSL_cleanse(block.data(), block.size());
}

void SecretCapture::on_keylog_line(const char* line) {
  const std::string_view text(line);
  const std::size_t label_end = text.find(' ');
  if (label_end == std::string_view::npos) return;
  const std::size_t random_end = text.find(' ', label_end + 1);
  if (random_end == std::string_view::npos) return;
  const std::string_view label = text.substr(0, label_end);
  const std::string_view hex = text.substr(random_end + 1);
  if (label == "CLIENT_TRAFFIC_SECRET_0") client = secret_from_hex(hex);
  if (label == "SERVER_TRAFFIC_SECRET_0") server = secret_from_hex(hex);
}

}  // namespace headgate
