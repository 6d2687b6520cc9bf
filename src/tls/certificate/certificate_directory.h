#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tls/certificate/certificate.h"
#include "tls/handshake/secret_file.h"

namespace headgate {

/// A certificate with the stamps that show whether its files have changed since.
struct HeldCertificate {
  std::shared_ptr<const StoredCertificate> certificate;
  FileStamp certificate_stamp;
  FileStamp key_stamp{};         ///< Zero: the key is in the certificate's file.
  std::uint64_t key_digest = 0;  ///< Of the public key.
};

/// Certificates by a hash of something about them. A copy shares with the original all parts that are not
/// changed afterwards, so that adding one to 100,000 copies only some hundred.
///
/// Owns no certificate. Not shared while it is changed.
class SharedIndex {
 public:
  struct Slot {
    std::uint64_t hash;
    const HeldCertificate* held;
  };

  /// All certificates with that hash, in order of file name. Valid as long as the index is not changed.
  [[nodiscard]] std::span<const Slot> find(std::uint64_t hash) const;
  void insert(Slot slot);
  void erase(Slot slot);
  /// Frees memory that was reserved for growing.
  void shrink();

 private:
  using Part = std::vector<Slot>;  // sorted by hash, then by file
  static constexpr std::size_t kParts = 256;

  [[nodiscard]] Part& own(std::uint64_t hash);

  std::array<std::shared_ptr<Part>, kParts> parts_{};
};

/// The certificates of one entry of `certificate_dirs`, by name, by file and by key. Immutable; the next one
/// is made from this one and the changes, and shares the rest. Read by every worker.
class CertificateDirectory {
 public:
  struct Change {
    std::string file;                             ///< The certificate's path.
    std::shared_ptr<const HeldCertificate> held;  ///< nullptr: the file is gone.
  };

  explicit CertificateDirectory(std::string path) : path_(std::move(path)) {}
  /// `before` with `changes`; a change to a known file replaces its certificate.
  CertificateDirectory(const CertificateDirectory& before, const std::vector<Change>& changes);
  CertificateDirectory(const CertificateDirectory&) = delete;
  CertificateDirectory& operator=(const CertificateDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// How many have an RSA key.
  [[nodiscard]] std::size_t rsa_keys() const { return rsa_keys_; }
  /// The certificate whose file name comes first; nullptr if the directory is empty.
  [[nodiscard]] const HeldCertificate* first() const { return first_; }

  /// Calls `see(const StoredCertificate&)` for each that has `name`, in order of file name.
  template <class See>
  void for_each_with_name(std::string_view name, std::uint64_t name_hash, See&& see) const {
    for (const auto& slot : by_name_.find(name_hash)) {
      if (slot.held->certificate->holds_name(name)) see(*slot.held->certificate);
    }
  }
  template <class See>
  void for_each_with_key(std::uint64_t key_digest, See&& see) const {
    for (const auto& slot : by_key_.find(key_digest)) see(*slot.held->certificate);
  }
  /// In no particular order.
  template <class See>
  void for_each(See&& see) const {
    for (const auto& part : files_) {
      if (part == nullptr) continue;
      for (const auto& held : *part) see(held);
    }
  }
  /// The certificate of `file`; nullptr if there is none.
  [[nodiscard]] std::shared_ptr<const HeldCertificate> find_file(std::string_view file) const;

 private:
  using Files = std::vector<std::shared_ptr<const HeldCertificate>>;  // sorted by file
  static constexpr std::size_t kParts = 256;

  [[nodiscard]] Files& own(std::string_view file);
  void put(std::shared_ptr<const HeldCertificate> held);
  void take(std::string_view file);
  void index(const HeldCertificate& held);
  void unindex(const HeldCertificate& held);
  void find_first();

  std::string path_;
  std::array<std::shared_ptr<Files>, kParts> files_{};  // by the hash of their paths; the owners
  SharedIndex by_name_, by_key_;
  const HeldCertificate* first_ = nullptr;
  std::size_t size_ = 0, rsa_keys_ = 0;
};

/// Whether a file of that name may be a certificate of a directory, or the key of one: "*.pem", "*.crt",
/// "*.key", and not hidden.
[[nodiscard]] bool belongs_in_directory(std::string_view name);
/// The first two of those.
[[nodiscard]] bool is_certificate_of_directory(std::string_view name);

/// The hash under which a certificate's name is looked for.
[[nodiscard]] std::uint64_t hash_of_name(std::string_view name);
/// The digest of a certificate's public key; 0 when it cannot be read.
[[nodiscard]] std::uint64_t digest_of_key(const StoredCertificate& certificate);

}  // namespace headgate
