#include "tls/certificate/certificate_labels.h"

#include <algorithm>

namespace headgate {
namespace {

/// The entry of `sorted` that equals `path`; kOther where there is none.
std::string_view find(const std::vector<std::string>& sorted, std::string_view path) {
  const auto at = std::ranges::lower_bound(sorted, path);
  return at != sorted.end() && *at == path ? std::string_view(*at) : CertificateLabels::kOther;
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
  const std::string_view listed = find(files_, file);
  if (listed.data() != kOther.data()) return listed;
  const auto slash = file.rfind('/');
  return slash == file.npos ? kOther : find(directories_, file.substr(0, slash));
}

}  // namespace headgate
