#include "metrics/process_state.h"

#include <algorithm>

namespace headgate {

std::vector<const CertificateState*> soonest_expiring(const ProcessState& state) {
  std::vector<const CertificateState*> all;
  all.reserve(state.certificates->size());
  for (const CertificateState& certificate : *state.certificates) all.push_back(&certificate);
  std::ranges::stable_sort(all, {}, [](const CertificateState* one) { return one->not_after; });
  if (all.size() > kShownCertificates) all.resize(kShownCertificates);
  return all;
}

}  // namespace headgate
