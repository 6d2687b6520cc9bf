#include "tls/record/traffic_keys.h"

#include <algorithm>

#include <openssl/crypto.h>

#include "base/check.h"

namespace headgate {
namespace {

constexpr std::array<RecordSuiteRow, kRecordSuiteCount> kSuites{{
    {0x1301, "AES-128-GCM", Hash::kSha256, 16},
    {0x1302, "AES-256-GCM", Hash::kSha384, 32},
    {0x1303, "ChaCha20-Poly1305", Hash::kSha256, 32},
}};

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

void derive_keys(RecordSuite suite, const TrafficSecret& secret, TrafficKeys& into) {
  const RecordSuiteRow& suite_row = row(suite);
  expand_label(suite_row.hash, secret.bytes(), "key", {}, std::span(into.key).first(suite_row.key_bytes));
  expand_label(suite_row.hash, secret.bytes(), "iv", {}, into.iv);
}

TrafficSecret next_secret(RecordSuite suite, const TrafficSecret& secret) {
  std::array<std::byte, kMaxSecretBytes> bytes;
  const Hash hash = row(suite).hash;
  const std::span<std::byte> next = std::span(bytes).first(size_bytes(hash));
  expand_label(hash, secret.bytes(), "traffic upd", {}, next);
  TrafficSecret result{next};
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return result;
}

}  // namespace headgate
