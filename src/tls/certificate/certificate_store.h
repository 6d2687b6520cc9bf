#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
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
  const StoredCertificate* certificate =
      nullptr;             ///< nullptr: refuse, as `unknown_name` or `missing_name` says.
  std::string_view why{};  ///< "exact name", "wildcard", "default: no name was asked for", ...; a literal.
  /// Counts the end of the handshake; nullptr if the certificate is not compared with another.
  CanaryGroup* group = nullptr;
};

/// A number from 0 to 99 that a worker draws for each handshake. Handshakes below a canary's percentage get
/// its new certificate; the default gets the old one.
struct CanaryDraw {
  std::uint8_t number = 100;
};

/// A file whose contents are not served.
struct RefusedFile {
  std::string why;         ///< A sentence for the operator.
  bool kept = false;       ///< What the file held before stays in use; otherwise the file is left out.
  bool lost_name = false;  ///< It lacks a name, which another file may bring.
  std::optional<WallTime> usable_from{};  ///< When it may be read again without a change of it.
};

/// A certificate that is served, apart from its store.
struct CertificateInUse {
  std::string directory{};  ///< Of `certificate_dirs`; empty: it is listed.
  std::shared_ptr<const StoredCertificate> held;
  std::shared_ptr<CertificateCanary> canary{};  ///< nullptr: all clients get `held`.
};

/// Paths of files that have changed since they were read last.
using ChangedFiles = std::unordered_set<std::string>;

/// All certificates of one listener, indexed by name. Immutable: a reload makes another one, which takes over
/// what did not change. Built by the supervisor, read by every worker, shared.
class CertificateStore {
 public:
  /// Reads and checks every certificate of `tls`: `certificates` in order, then `certificate_dirs` by file
  /// name.
  ///
  /// A file with the same device, inode, size and modification time as in `previous` is not read again. With
  /// `changed`, a directory that `previous` has is not listed again: its other files are as they were, and
  /// the cost depends on the number of changed files alone. Faults go to `out` with their file; nullptr when
  /// one of them is an error, or nothing that `tls` names holds a certificate. Reads files: supervisor only.
  [[nodiscard]] static std::shared_ptr<const CertificateStore> load(const config::Tls& tls,
                                                                    const CertificateStore* previous,
                                                                    const ChangedFiles* changed, WallTime now,
                                                                    Diagnostics& out);

  /// A store of the given certificates, for the demo and for tests. The first one is the default.
  [[nodiscard]] static std::shared_ptr<const CertificateStore> of(
      const config::Tls& tls, std::vector<std::shared_ptr<const StoredCertificate>> certificates);

  /// The certificate for this client: exact name, then wildcard (one label), then the default, which is the
  /// first one configured. Of several with the same name, the cheapest that the client can verify. The result
  /// lives as long as the store. Any thread; no lock, no allocation in the usual case.
  [[nodiscard]] Selection select(const ClientHello& hello, WallTime now, CanaryDraw draw = {}) const;

  /// Whether the configuration names no certificate, because every connection passes through. Then select()
  /// refuses every client.
  [[nodiscard]] bool is_empty() const { return defaults_.empty(); }
  /// Of a store that is not empty.
  [[nodiscard]] const StoredCertificate& default_certificate() const;
  [[nodiscard]] std::size_t size() const;
  /// Whether one of them has an RSA key, those that are compared included.
  [[nodiscard]] bool holds_rsa() const;
  /// Calls `see(const StoredCertificate&)` for each certificate that most clients get: the listed ones in
  /// order, then the others in no particular order.
  template <class See>
  void for_each(See&& see) const {
    for (const Listed& one : listed_) see(*shown(one, {}).certificate);
    for (const auto& directory : directories_) {
      directory->for_each([&](const auto& held) { see(*held->certificate); });
    }
  }

  /// A certificate that is listed by hand, by its index, as most clients get it: while a changed certificate
  /// is compared, the one before it.
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

  /// How many files this store read itself, instead of taking their contents from the store before.
  [[nodiscard]] std::size_t files_read() const { return files_read_; }
  /// The certificates that the next process needs where it refuses their files: all listed ones, in order,
  /// and those of directories whose file is refused now.
  [[nodiscard]] std::vector<CertificateInUse> in_use() const;
  /// A store of these, not empty, that serves nobody: the one before the first that a process loads.
  [[nodiscard]] static std::shared_ptr<const CertificateStore> of_in_use(
      std::vector<CertificateInUse> certificates);
  /// The files whose contents this store refused, by path: listed ones and those of directories.
  using RefusedFiles = std::map<std::string, RefusedFile, std::less<>>;
  [[nodiscard]] const RefusedFiles& refused() const { return refused_; }
  /// Whether a client that asks for `name` gets a certificate with it, or with the wildcard for it, that is
  /// valid at `now`.
  [[nodiscard]] bool serves_name(std::string_view name, WallTime now) const;

 private:
  struct Listed {
    HeldCertificate held;
    FileStamp staple_stamp{};                     // zero: no staple
    std::shared_ptr<CertificateCanary> canary{};  // nullptr: the certificate is served to all
  };
  /// The certificate to use by default: a listed one, or else one of a directory.
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
    RefusedFiles refused{};
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
  [[nodiscard]] bool covers_name(std::string_view name) const;

  config::UncoveredName unknown_name_;
  config::UncoveredName missing_name_;
  config::TlsVersion max_version_;
  std::vector<Listed> listed_;
  std::vector<std::shared_ptr<const CertificateDirectory>> directories_;
  std::shared_ptr<ChainPool> chains_;  // the supervisor's alone; handed to the next store
  std::vector<NameSlot> index_;        // of listed_, by hash
  std::vector<Answer> defaults_;       // the default, and those that share a name with it
  RefusedFiles refused_;
  std::size_t files_read_ = 0;
  bool has_canaries_ = false;
  bool is_whole_ = true;  // false: some certificates of the directories are missing
};

/// The certificates that a process before served, by listener.
using CertificatesInUse = std::map<std::string, std::shared_ptr<const CertificateStore>>;

}  // namespace headgate
