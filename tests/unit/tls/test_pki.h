#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "tls/certificate/certificate.h"
#include "tls/library/openssl_types.h"

namespace headgate::test {

/// The properties of a certificate that is made for a test.
struct Wanted {
  std::string common_name = "www.example.com";
  std::string second_common_name{};  ///< Behind the first; empty: none.
  std::vector<std::string> dns{};    ///< Empty: the common name, unless `no_san`.
  std::vector<std::string> uris{};   ///< With these bytes, whatever they are.
  std::vector<std::string> addresses{};
  std::string organizational_unit{};
  std::string key = "P-256";         ///< A curve, "RSA-2048", "ED25519", ...
  std::chrono::seconds from{-3600};  ///< Validity, relative to now.
  std::chrono::seconds until{90 * 86400};
  std::string extended_key_usage{};     ///< "serverAuth,clientAuth"; empty: no such extension.
  std::string authority_info_access{};  ///< "caIssuers;URI:http://ca.example/ca.der"; empty: none.
  std::string key_usage{};              ///< "digitalSignature,cRLSign"; empty: no such extension.
  std::string digest = "SHA256";
  bool ca = false;
  bool no_san = false;
};

/// A certificate with its key, made at test time.
struct Issued {
  X509Ptr certificate;
  PkeyPtr key;
  [[nodiscard]] std::string certificate_pem() const;
  [[nodiscard]] std::string key_pem() const;              ///< PKCS#8.
  [[nodiscard]] std::string traditional_key_pem() const;  ///< SEC 1 or PKCS #1.
  [[nodiscard]] std::string encrypted_key_pem() const;
  [[nodiscard]] std::string pem() const { return certificate_pem() + key_pem(); }
  [[nodiscard]] std::vector<std::byte> der() const;
};

/// Whether the library can make such a key. Takes as long as making one.
[[nodiscard]] bool has_keys(const std::string& kind);

/// Issues a certificate by `issuer`, or a self-signed one without.
[[nodiscard]] Issued issue(const Wanted& wanted, const Issued* issuer = nullptr);

/// A revocation list by `issuer`, in PEM.
struct WantedList {
  std::vector<const Issued*> revoked{};
  std::chrono::seconds from{-3600};
  std::chrono::seconds until{7 * 86400};
  bool delta = false;
  bool der = false;
  std::string distribution_point{};  ///< "onlyCA:TRUE", "fullname:URI:http://x/"; empty: no such extension.
  std::string critical{};            ///< The number of a critical extension whose contents are NULL.
  std::string critical_in_entry{};   ///< The same, in each entry.
};
[[nodiscard]] std::string revocation_list(const Issued& issuer, const WantedList& wanted);

/// A "good" OCSP response for `leaf` by `issuer`, in DER. `status` is a V_OCSP_CERTSTATUS.
[[nodiscard]] std::string ocsp_response(const Issued& issuer, const Issued& leaf, int status,
                                        std::chrono::seconds until);

/// Returns the result of check_certificate() for one file.
[[nodiscard]] std::shared_ptr<const StoredCertificate> stored(const Issued& issued,
                                                              const std::string& file = "test.pem");

/// A directory that goes away with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Writes a file, mode 0600, and returns its path.
  std::string write(const std::string& name, std::string_view contents) const;

 private:
  std::string path_;
};

/// The bytes of a text.
[[nodiscard]] std::vector<std::byte> bytes_of(std::string_view text);

}  // namespace headgate::test
