#include "metrics/process_state.h"

#include <algorithm>

namespace headgate {

std::vector<const CertificateReport*> soonest_expiring(const ProcessState& state) {
  std::vector<const CertificateReport*> all;
  all.reserve(state.certificates->size());
  for (const CertificateReport& certificate : *state.certificates) all.push_back(&certificate);
  std::ranges::stable_sort(all, {}, [](const CertificateReport* one) { return one->not_after; });
  if (all.size() > kShownCertificates) all.resize(kShownCertificates);
  return all;
}

}  // namespace headgate
