#include "tls/session_binding.h"

#include <algorithm>
#include <cstring>

namespace headgate {
namespace {

constexpr std::byte kForm{1};
constexpr std::size_t kMaxChain = 16;
constexpr std::size_t kFixedBytes = 1 + 2 * SessionBinding::kPolicyBytes + 8 + sizeof(IssuedKey);

}  // namespace

std::vector<std::byte> SessionBinding::encode() const {
  std::vector<std::byte> bytes;
  bytes.reserve(kFixedBytes + chain.size() * sizeof(IssuedKey));
  const auto append = [&bytes](const auto& part) { bytes.insert(bytes.end(), part.begin(), part.end()); };
  bytes.push_back(kForm);
  append(policy);
  append(certificate);
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(authenticated_at) >> shift));
  }
  append(anchor);
  for (const IssuedKey& key : chain) append(key);
  return bytes;
}

std::optional<SessionBinding> SessionBinding::decode(std::span<const std::byte> bytes) {
  if (bytes.size() < kFixedBytes || bytes[0] != kForm) return std::nullopt;
  const std::size_t chain_bytes = bytes.size() - kFixedBytes;
  if (chain_bytes % sizeof(IssuedKey) != 0 || chain_bytes / sizeof(IssuedKey) > kMaxChain)
    return std::nullopt;
  SessionBinding binding;
  bytes = bytes.subspan(1);
  const auto take = [&bytes](auto& part) {
    std::copy_n(bytes.begin(), part.size(), part.begin());
    bytes = bytes.subspan(part.size());
  };
  take(binding.policy);
  take(binding.certificate);
  std::uint64_t seconds = 0;
  for (std::size_t i = 0; i < 8; ++i) seconds = seconds << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  binding.authenticated_at = static_cast<std::int64_t>(seconds);
  bytes = bytes.subspan(8);
  take(binding.anchor);
  while (!bytes.empty()) take(binding.chain.emplace_back());
  return binding;
}

}  // namespace headgate
