#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "tls/certificate.h"
#include "tls/client_hello.h"
#include "tls/diagnostic.h"
#include "tls/secret_file.h"

namespace headgate {

/// Which certificate a client gets, and why.
struct Selection {
  const StoredCertificate* certificate = nullptr;  ///< nullptr: refuse, with the alert unrecognized_name.
  std::string_view why;  ///< "exact name", "wildcard", "default: no name was asked for", ...; a literal.
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
  [[nodiscard]] Selection select(const ClientHello& hello) const;

  [[nodiscard]] const StoredCertificate& default_certificate() const { return *entries_.front().certificate; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] const StoredCertificate& operator[](std::size_t i) const { return *entries_[i].certificate; }
  /// How many files this store read itself rather than taking their contents from the one before.
  [[nodiscard]] std::size_t files_read() const { return files_read_; }
  /// Names that `before` served and this store does not: a reload that would lose them is refused.
  [[nodiscard]] std::vector<std::string> names_lost_since(const CertificateStore& before) const;

 private:
  struct Entry {
    std::shared_ptr<const StoredCertificate> certificate;
    FileStamp certificate_stamp;
    FileStamp key_stamp;     // zero: the key is in the certificate's file
    FileStamp staple_stamp;  // zero: no staple
  };
  struct NameSlot {
    std::uint64_t hash;
    std::uint32_t entry;
  };
  class Loader;

  CertificateStore(const config::Tls& tls, std::vector<Entry> entries);
  void build_index();
  struct Candidates;
  void consider_name(std::string_view name, std::string_view why, const ClientHello& hello,
                     Candidates& best) const;
  void consider(std::uint32_t entry, std::string_view why, const ClientHello& hello, Candidates& best) const;
  [[nodiscard]] std::string_view why_default(const ClientHello& hello) const;
  [[nodiscard]] bool holds_name(std::string_view name) const;

  config::UnknownName unknown_name_;
  config::TlsVersion max_version_;
  std::vector<Entry> entries_;  // the first is the default; those of directories follow in order of file name
  std::vector<std::uint32_t>
      defaults_;  // entries that answer for the default: it, and those that share a name with it
  std::vector<NameSlot> index_;  // by hash
  std::size_t files_read_ = 0;
};

}  // namespace headgate
