#include "tls/certificate/certificate_directory.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

namespace headgate {
namespace {

std::size_t part_of(std::uint64_t hash, std::size_t parts) {
  return static_cast<std::size_t>(hash % parts);
}

std::uint64_t hash_of_file(std::string_view file) {
  return std::hash<std::string_view>{}(file);
}

bool comes_before(const SharedIndex::Slot& a, const SharedIndex::Slot& b) {
  if (a.hash != b.hash) return a.hash < b.hash;
  return a.held->certificate->file() < b.held->certificate->file();
}

std::string_view file_of(const std::shared_ptr<const HeldCertificate>& held) {
  return held->certificate->file();
}

/// The part itself if this index is its only owner, else a copy in its place. A part that another index
/// shares is also owned by `before`, which stays alive while its copy is changed, so a count of one stays
/// one.
template <class Part>
Part& part_to_change(std::shared_ptr<Part>& part) {
  if (part == nullptr) {
    part = std::make_shared<Part>();
  } else if (part.use_count() > 1) {
    part = std::make_shared<Part>(*part);
  }
  return *part;
}

}  // namespace

std::span<const SharedIndex::Slot> SharedIndex::find(std::uint64_t hash) const {
  const auto& part = parts_[part_of(hash, kParts)];
  if (part == nullptr) return {};
  return std::ranges::equal_range(*part, hash, {}, &Slot::hash);
}

SharedIndex::Part& SharedIndex::own(std::uint64_t hash) {
  return part_to_change(parts_[part_of(hash, kParts)]);
}

void SharedIndex::insert(Slot slot) {
  Part& part = own(slot.hash);
  part.insert(std::upper_bound(part.begin(), part.end(), slot, comes_before), slot);
}

void SharedIndex::erase(Slot slot) {
  Part& part = own(slot.hash);
  const auto same = [&](const Slot& one) { return one.hash == slot.hash && one.held == slot.held; };
  if (const auto found = std::ranges::find_if(part, same); found != part.end()) part.erase(found);
}

void SharedIndex::shrink() {
  for (const auto& part : parts_) {
    if (part != nullptr && part.use_count() == 1) part->shrink_to_fit();
  }
}

CertificateDirectory::CertificateDirectory(const CertificateDirectory& before,
                                           const std::vector<Change>& changes)
    : path_(before.path_),
      files_(before.files_),
      by_name_(before.by_name_),
      by_key_(before.by_key_),
      first_(before.first_),
      size_(before.size_),
      rsa_keys_(before.rsa_keys_) {
  for (const Change& change : changes) {
    take(change.file);
    if (change.held != nullptr) put(change.held);
  }
  if (first_ == nullptr) find_first();
  by_name_.shrink();
  by_key_.shrink();
}

CertificateDirectory::Files& CertificateDirectory::own(std::string_view file) {
  return part_to_change(files_[part_of(hash_of_file(file), kParts)]);
}

std::shared_ptr<const HeldCertificate> CertificateDirectory::find_file(std::string_view file) const {
  const auto& part = files_[part_of(hash_of_file(file), kParts)];
  if (part == nullptr) return nullptr;
  const auto found = std::ranges::lower_bound(*part, file, {}, file_of);
  return found == part->end() || file_of(*found) != file ? nullptr : *found;
}

void CertificateDirectory::put(std::shared_ptr<const HeldCertificate> held) {
  const std::string_view file = file_of(held);
  index(*held);
  ++size_;
  if (is_rsa(held->certificate->key_type())) ++rsa_keys_;
  // If there is no first one, the search at the end finds it.
  if (first_ != nullptr && file < first_->certificate->file()) first_ = held.get();
  Files& files = own(file);
  files.insert(std::ranges::upper_bound(files, file, {}, file_of), std::move(held));
}

void CertificateDirectory::take(std::string_view file) {
  const auto held = find_file(file);
  if (held == nullptr) return;
  unindex(*held);
  --size_;
  if (is_rsa(held->certificate->key_type())) --rsa_keys_;
  if (first_ == held.get()) first_ = nullptr;
  std::erase(own(file), held);
}

void CertificateDirectory::index(const HeldCertificate& held) {
  for (const std::string_view name : held.certificate->names()) by_name_.insert({hash_of_name(name), &held});
  by_key_.insert({held.key_digest, &held});
}

void CertificateDirectory::unindex(const HeldCertificate& held) {
  for (const std::string_view name : held.certificate->names()) by_name_.erase({hash_of_name(name), &held});
  by_key_.erase({held.key_digest, &held});
}

void CertificateDirectory::find_first() {
  for_each([this](const auto& held) {
    if (first_ == nullptr || file_of(held) < first_->certificate->file()) first_ = held.get();
  });
}

bool is_certificate_of_directory(std::string_view name) {
  return !name.starts_with('.') && (name.ends_with(".pem") || name.ends_with(".crt"));
}

bool belongs_in_directory(std::string_view name) {
  return is_certificate_of_directory(name) || (!name.starts_with('.') && name.ends_with(".key"));
}

std::uint64_t hash_of_name(std::string_view name) {
  return std::hash<std::string_view>{}(name);
}

std::uint64_t digest_of_key(const StoredCertificate& certificate) {
  const auto fields = read_certificate(certificate.leaf_der());
  if (!fields) return 0;
  return hash_of_name({reinterpret_cast<const char*>(fields->public_key.data()), fields->public_key.size()});
}

}  // namespace headgate
