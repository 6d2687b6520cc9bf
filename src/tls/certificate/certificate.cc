#include "tls/certificate/certificate.h"

#include <algorithm>
#include <cstring>

#include <openssl/crypto.h>

#include "base/check.h"

namespace headgate {

StoredCertificate::StoredCertificate(const Parts& parts)
    : leaf_size_(static_cast<std::uint32_t>(parts.leaf.size())),
      key_size_(static_cast<std::uint32_t>(parts.key.size())),
      file_size_(static_cast<std::uint32_t>(parts.file.size())),
      names_size_(0),
      key_type_(parts.key_type),
      key_bits_(parts.key_bits),
      chain_(parts.chain),
      staple_(parts.staple),
      not_before_(epoch_seconds(parts.not_before)),
      not_after_(epoch_seconds(parts.not_after)),
      fingerprint_(parts.fingerprint) {
  HG_CHECK(chain_ != nullptr);
  for (const std::string& one : parts.names) names_size_ += static_cast<std::uint32_t>(one.size() + 1);
  bytes_ = std::make_unique_for_overwrite<std::byte[]>(std::size_t{leaf_size_} + key_size_ + file_size_ +
                                                       names_size_);
  std::byte* at = bytes_.get();
  const auto append = [&at](const void* from, std::size_t size) {
    if (size != 0) std::memcpy(at, from, size);
    at += size;
  };
  append(parts.leaf.data(), leaf_size_);
  append(parts.key.data(), key_size_);
  append(parts.file.data(), file_size_);
  for (const std::string& one : parts.names) append(one.c_str(), one.size() + 1);
}

StoredCertificate::~StoredCertificate() {
  OPENSSL_cleanse(bytes_.get() + leaf_size_, key_size_);
}

std::string_view StoredCertificate::file() const {
  return {reinterpret_cast<const char*>(bytes_.get()) + leaf_size_ + key_size_, file_size_};
}

std::span<const std::byte> StoredCertificate::leaf_der() const {
  return {bytes_.get(), leaf_size_};
}

std::span<const std::byte> StoredCertificate::key_der() const {
  return {bytes_.get() + leaf_size_, key_size_};
}

std::vector<std::string_view> StoredCertificate::names() const {
  std::vector<std::string_view> all;
  const char* at = reinterpret_cast<const char*>(bytes_.get()) + leaf_size_ + key_size_ + file_size_;
  for (const char* end = at + names_size_; at != end; at += all.back().size() + 1) all.emplace_back(at);
  return all;
}

bool StoredCertificate::holds_name(std::string_view name) const {
  const char* at = reinterpret_cast<const char*>(bytes_.get()) + leaf_size_ + key_size_ + file_size_;
  for (const char* end = at + names_size_; at != end;) {
    const std::string_view one(at);
    if (one == name) return true;
    at += one.size() + 1;
  }
  return false;
}

const OcspStaple* StoredCertificate::staple_at(WallTime now) const {
  return staple_ != nullptr && now < staple_->next_update ? staple_.get() : nullptr;
}

std::size_t StoredCertificate::footprint_bytes() const {
  return sizeof(*this) + leaf_size_ + key_size_ + file_size_ + names_size_;
}

std::shared_ptr<const CertificateChain> ChainPool::intern(CertificateChain chain) {
  auto& slot = chains_[chain.der];
  if (slot == nullptr) slot = std::make_shared<const CertificateChain>(std::move(chain));
  return slot;
}

void ChainPool::drop_unused() {
  std::erase_if(chains_, [](const auto& one) { return one.second.use_count() == 1; });
}

std::shared_ptr<const StoredCertificate> with_staple(const StoredCertificate& certificate,
                                                     std::shared_ptr<const OcspStaple> staple) {
  std::vector<std::string> names;
  for (const std::string_view one : certificate.names()) names.emplace_back(one);
  return std::make_shared<StoredCertificate>(StoredCertificate::Parts{
      .file = std::string(certificate.file()),
      .leaf = certificate.leaf_der(),
      .key = certificate.key_der(),
      .names = std::move(names),
      .chain = certificate.shared_chain(),
      .staple = std::move(staple),
      .key_type = certificate.key_type(),
      .key_bits = static_cast<std::uint16_t>(certificate.key_bits()),
      .not_before = certificate.not_before(),
      .not_after = certificate.not_after(),
      .fingerprint = certificate.fingerprint(),
  });
}

}  // namespace headgate
