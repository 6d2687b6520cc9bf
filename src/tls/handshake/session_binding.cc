#include "tls/handshake/session_binding.h"

#include <algorithm>
#include <cstring>

namespace headgate {
namespace {

constexpr std::byte kWithoutPeer{2};
constexpr std::byte kWithPeer{3};
constexpr std::size_t kFixedBytes = 1 + 2 * SessionBinding::kPolicyBytes + 8 + 8 + 1;

void append_number(std::vector<std::byte>& bytes, std::int64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(number) >> shift));
  }
}

std::int64_t take_number(std::span<const std::byte>& bytes) {
  std::uint64_t number = 0;
  for (const std::byte byte : bytes.first(8)) number = number << 8 | std::to_integer<std::uint64_t>(byte);
  bytes = bytes.subspan(8);
  return static_cast<std::int64_t>(number);
}

}  // namespace

std::vector<std::byte> SessionBinding::encode() const {
  std::vector<std::byte> bytes;
  bytes.reserve(kFixedBytes + (1 + trust.size() + chain.size()) * sizeof(IssuedKey));
  const auto append = [&bytes](const auto& part) { bytes.insert(bytes.end(), part.begin(), part.end()); };
  const bool has_peer = !trust.empty();
  bytes.push_back(has_peer ? kWithPeer : kWithoutPeer);
  append(policy);
  append(certificate);
  append_number(bytes, authenticated_at);
  append_number(bytes, chain_not_after);
  bytes.push_back(static_cast<std::byte>(trust.size()));
  if (!has_peer) return bytes;
  append(issued_by);
  for (const IssuedKey& key : trust) append(key);
  for (const IssuedKey& key : chain) append(key);
  return bytes;
}

std::optional<SessionBinding> SessionBinding::decode(std::span<const std::byte> bytes) {
  if (bytes.size() < kFixedBytes) return std::nullopt;
  const std::byte form = bytes[0];
  const std::size_t keys = (bytes.size() - kFixedBytes) / sizeof(IssuedKey);
  if ((bytes.size() - kFixedBytes) % sizeof(IssuedKey) != 0 || keys > 1 + 2 * kMaxLinks) return std::nullopt;
  if (form != (keys == 0 ? kWithoutPeer : kWithPeer)) return std::nullopt;
  SessionBinding binding;
  bytes = bytes.subspan(1);
  const auto take = [&bytes](auto& part) {
    std::copy_n(bytes.begin(), part.size(), part.begin());
    bytes = bytes.subspan(part.size());
  };
  take(binding.policy);
  take(binding.certificate);
  binding.authenticated_at = take_number(bytes);
  binding.chain_not_after = take_number(bytes);
  const auto trust = std::to_integer<std::size_t>(bytes[0]);
  bytes = bytes.subspan(1);
  if (keys == 0) return trust == 0 ? std::optional(std::move(binding)) : std::nullopt;
  if (trust == 0 || trust > keys - 1) return std::nullopt;
  take(binding.issued_by);
  for (std::size_t i = 0; i < trust; ++i) take(binding.trust.emplace_back());
  while (!bytes.empty()) take(binding.chain.emplace_back());
  return binding;
}

}  // namespace headgate
