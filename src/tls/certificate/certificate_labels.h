#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace headgate {

/// The words by which metrics tell the certificates of a listener apart: those of its configuration, so that
/// a directory of 100,000 certificates is one of them. A value; part of a snapshot.
class CertificateLabels {
 public:
  /// The words of a listener at most, kOther aside. Further entries of the configuration have none.
  static constexpr std::size_t kMost = 100;
  static constexpr std::string_view kOther = "other";

  CertificateLabels() = default;
  /// The paths of `certificates`, then those of `certificate_dirs`.
  explicit CertificateLabels(const config::Tls& tls);

  /// The word for the certificate of `file`: the file itself where it is listed, else its directory where
  /// that is one of the configuration's, else kOther. Valid as long as this object. Any thread.
  [[nodiscard]] std::string_view of(std::string_view file) const;

 private:
  std::vector<std::string> files_, directories_;  // each sorted
};

}  // namespace headgate
