#include "tls/certificate/certificate_labels.h"

#include <algorithm>

namespace headgate {
namespace {

/// The entry of `sorted` that equals `path`; nullptr where there is none.
const std::string* find_path(const std::vector<std::string>& sorted, std::string_view path) {
  const auto at = std::ranges::lower_bound(sorted, path);
  return at != sorted.end() && *at == path ? &*at : nullptr;
}

}  // namespace

CertificateLabels::CertificateLabels(const config::Tls& tls) {
  for (const config::Certificate& one : tls.certificates) {
    if (files_.size() < kMost) files_.push_back(one.certificate);
  }
  for (const std::string& directory : tls.certificate_dirs) {
    if (files_.size() + directories_.size() < kMost) directories_.push_back(directory);
  }
  std::ranges::sort(files_);
  std::ranges::sort(directories_);
}

std::string_view CertificateLabels::of(std::string_view file) const {
  if (const auto* listed = find_path(files_, file)) return *listed;
  const auto slash = file.rfind('/');
  const auto* directory = slash == file.npos ? nullptr : find_path(directories_, file.substr(0, slash));
  return directory == nullptr ? kOther : std::string_view(*directory);
}

}  // namespace headgate
