#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "tls/certificate.h"
#include "tls/certificate_canary.h"
#include "tls/client_hello.h"
#include "tls/diagnostic.h"
#include "tls/secret_file.h"

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

/// All certificates of one listener, indexed by name. Immutable: a reload makes another one, which takes over
/// what did not change. Built by the supervisor, read by every worker, shared.
class CertificateStore {
 public:
  /// Reads and checks every certificate of `tls`: `certificates` in order, then `certificate_dirs` by file
  /// name.
  ///
  /// A file with the same device, inode, size and modification time as in `previous` is not read again.
  /// Faults go to `out` with their file; nullptr when one of them is an error, or there is no certificate at
  /// all. Reads files: supervisor only.
  [[nodiscard]] static std::shared_ptr<const CertificateStore> load(const config::Tls& tls,
                                                                    const CertificateStore* previous,
                                                                    WallTime now, Diagnostics& out);

  /// A store of certificates at hand, for the demo and for tests. The first one is the default.
  [[nodiscard]] static std::shared_ptr<const CertificateStore> of(
      const config::Tls& tls, std::vector<std::shared_ptr<const StoredCertificate>> certificates);

  /// The certificate for this client: exact name, then wildcard (one label), then the default, which is the
  /// first one configured. Among those of one name the cheapest that the client can verify. The result lives
  /// as long as the store. Any thread; no lock, no allocation in the usual case.
  [[nodiscard]] Selection select(const ClientHello& hello, CanaryDraw draw = {}) const;

  [[nodiscard]] const StoredCertificate& default_certificate() const { return (*this)[0]; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// What most clients get from the file at place `i`: while a changed certificate is compared, the one
  /// before.
  [[nodiscard]] const StoredCertificate& operator[](std::size_t i) const;
  /// The certificate that the file holds.
  [[nodiscard]] const StoredCertificate& in_file(std::size_t i) const { return *entries_[i].certificate; }
  /// The comparison of the file's certificate with the one before it; nullptr: there is none.
  [[nodiscard]] const std::shared_ptr<CertificateCanary>& canary(std::size_t i) const {
    return entries_[i].canary;
  }
  [[nodiscard]] bool has_canaries() const { return has_canaries_; }
  /// How many files this store read itself rather than taking their contents from the one before.
  [[nodiscard]] std::size_t files_read() const { return files_read_; }
  /// Names that `before` served and this store does not: a reload that would lose them is refused.
  [[nodiscard]] std::vector<std::string> names_lost_since(const CertificateStore& before) const;

 private:
  struct Entry {
    std::shared_ptr<const StoredCertificate> certificate;
    FileStamp certificate_stamp;
    FileStamp key_stamp;                        // zero: the key is in the certificate's file
    FileStamp staple_stamp;                     // zero: no staple
    std::shared_ptr<CertificateCanary> canary;  // nullptr: `certificate` is served to all
  };
  struct NameSlot {
    std::uint64_t hash;
    std::uint32_t entry;
  };
  class Loader;

  CertificateStore(const config::Tls& tls, std::vector<Entry> entries);
  void build_index();
  struct Candidates;
  static Selection shown(const Entry& entry, CanaryDraw draw);
  static Selection shown(const Entry& entry, CanaryDraw draw, std::string_view name);
  void consider_name(std::string_view name, std::string_view why, Candidates& best) const;
  static void consider(Selection shown, std::string_view why, Candidates& best);
  [[nodiscard]] std::string_view why_default(const ClientHello& hello) const;
  [[nodiscard]] bool holds_name(std::string_view name) const;

  config::UnknownName unknown_name_;
  config::TlsVersion max_version_;
  std::vector<Entry> entries_;  // the first is the default; those of directories follow in order of file name
  std::vector<std::uint32_t>
      defaults_;  // entries that answer for the default: it, and those that share a name with it
  std::vector<NameSlot> index_;  // by hash
  std::size_t files_read_ = 0;
  bool has_canaries_ = false;
};

}  // namespace headgate
