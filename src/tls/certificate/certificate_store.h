#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "config/config.h"
#include "tls/certificate/certificate.h"
#include "tls/certificate/certificate_canary.h"
#include "tls/certificate/certificate_directory.h"
#include "tls/handshake/client_hello.h"
#include "tls/handshake/diagnostic.h"

namespace headgate {

/// Which certificate a client gets, and why.
struct Selection {
  const StoredCertificate* certificate = nullptr;  ///< nullptr: refuse, with the alert unrecognized_name.
  std::string_view why{};  ///< "exact name", "wildcard", "default: no name was asked for", ...; a literal.
  /// Where the end of the handshake is counted; nullptr: the certificate is not compared with another.
  CanaryGroup* group = nullptr;
};

/// Of 100 handshakes, the one this is: those below a canary's percentage get its new certificate. A worker
/// draws one for each handshake; the default gets the old ones.
struct CanaryDraw {
  std::uint8_t number = 100;
};

/// Paths of files that differ from what they were when read last.
using ChangedFiles = std::unordered_set<std::string>;

/// All certificates of one listener, indexed by name. Immutable: a reload makes another one, which takes over
/// what did not change. Built by the supervisor, read by every worker, shared.
class CertificateStore {
 public:
  /// Reads and checks every certificate of `tls`: `certificates` in order, then `certificate_dirs` by file
  /// name.
  ///
  /// A file with the same device, inode, size and modification time as in `previous` is not read again. With
  /// `changed`, a directory that `previous` has is not even looked through: the other files of it are as they
  /// were, and what this costs goes by the number of those that changed.
  /// Faults go to `out` with their file; nullptr when one of them is an error, or there is no certificate at
  /// all. Reads files: supervisor only.
  [[nodiscard]] static std::shared_ptr<const CertificateStore> load(const config::Tls& tls,
                                                                    const CertificateStore* previous,
                                                                    const ChangedFiles* changed, WallTime now,
                                                                    Diagnostics& out);

  /// A store of certificates at hand, for the demo and for tests. The first one is the default.
  [[nodiscard]] static std::shared_ptr<const CertificateStore> of(
      const config::Tls& tls, std::vector<std::shared_ptr<const StoredCertificate>> certificates);

  /// The certificate for this client: exact name, then wildcard (one label), then the default, which is the
  /// first one configured. Among those of one name the cheapest that the client can verify. The result lives
  /// as long as the store. Any thread; no lock, no allocation in the usual case.
  [[nodiscard]] Selection select(const ClientHello& hello, CanaryDraw draw = {}) const;

  [[nodiscard]] const StoredCertificate& default_certificate() const;
  [[nodiscard]] std::size_t size() const;
  /// Whether one of them has an RSA key, those that are compared included.
  [[nodiscard]] bool holds_rsa() const;
  /// Calls `see(const StoredCertificate&)` for each that most clients get: the listed ones in order, then the
  /// others in none.
  template <class See>
  void for_each(See&& see) const {
    for (const Listed& one : listed_) see(*shown(one, {}).certificate);
    for (const auto& directory : directories_) {
      directory->for_each([&](const auto& held) { see(*held->certificate); });
    }
  }

  /// Of the certificates that are listed by hand, by place. What most clients get: while a changed
  /// certificate is compared, the one before.
  [[nodiscard]] std::size_t listed_size() const { return listed_.size(); }
  [[nodiscard]] const StoredCertificate& listed(std::size_t i) const {
    return *shown(listed_[i], {}).certificate;
  }
  /// The certificate that the file holds.
  [[nodiscard]] const StoredCertificate& in_file(std::size_t i) const { return *listed_[i].held.certificate; }
  /// The comparison of the file's certificate with the one before it; nullptr: there is none.
  [[nodiscard]] const std::shared_ptr<CertificateCanary>& canary(std::size_t i) const {
    return listed_[i].canary;
  }
  [[nodiscard]] bool has_canaries() const { return has_canaries_; }

  /// How many files this store read itself rather than taking their contents from the one before.
  [[nodiscard]] std::size_t files_read() const { return files_read_; }
  /// Names that `before` served and this store does not: a reload that would lose them is refused.
  [[nodiscard]] std::vector<std::string> names_lost_since(const CertificateStore& before) const;

 private:
  struct Listed {
    HeldCertificate held;
    FileStamp staple_stamp{};                     // zero: no staple
    std::shared_ptr<CertificateCanary> canary{};  // nullptr: the certificate is served to all
  };
  /// Answers for the default: one that is listed, or else one of a directory.
  struct Answer {
    const Listed* listed = nullptr;
    const StoredCertificate* held = nullptr;
  };
  struct NameSlot {
    std::uint64_t hash;
    std::uint32_t listed;
  };
  struct Contents {
    std::vector<Listed> listed;
    std::vector<std::shared_ptr<const CertificateDirectory>> directories;
    std::shared_ptr<ChainPool> chains;
  };
  struct Candidates;
  class Loader;
  using Fresh = std::vector<std::shared_ptr<const StoredCertificate>>;

  CertificateStore(const config::Tls& tls, Contents contents);
  void build_index();
  void find_defaults();
  template <class See>
  void for_each_with_name(std::string_view name, See&& see) const;
  static Selection shown(const Listed& one, CanaryDraw draw);
  static Selection shown(const Listed& one, CanaryDraw draw, std::string_view name);
  void consider_name(std::string_view name, std::string_view why, Candidates& best) const;
  static void consider(Selection shown, std::string_view why, Candidates& best);
  template <class See>
  void for_each_with_key(std::uint64_t key_digest, See&& see) const;
  void warn_of_shared_keys(const Fresh& fresh, const config::Tls& tls, Diagnostics& out) const;
  [[nodiscard]] std::string_view why_default(const ClientHello& hello) const;
  [[nodiscard]] bool holds_name(std::string_view name) const;

  config::UnknownName unknown_name_;
  config::TlsVersion max_version_;
  std::vector<Listed> listed_;
  std::vector<std::shared_ptr<const CertificateDirectory>> directories_;
  std::shared_ptr<ChainPool> chains_;   // the supervisor's alone; handed to the next store
  std::vector<NameSlot> index_;         // of listed_, by hash
  std::vector<Answer> defaults_;        // the default, and those that share a name with it
  std::vector<std::string> held_back_;  // files of directories that hold something else than what is served
  std::size_t files_read_ = 0;
  bool has_canaries_ = false;
};

}  // namespace headgate
