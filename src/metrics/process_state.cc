#include "metrics/process_state.h"

#include <algorithm>
#include <cstddef>
#include <tuple>

namespace headgate {

std::vector<const CertificateReport*> soonest_expiring(const ProcessState& state, std::size_t limit) {
  std::vector<const CertificateReport*> all;
  all.reserve(state.certificates->size());
  for (const CertificateReport& certificate : *state.certificates) all.push_back(&certificate);
  const auto expiry = [](const CertificateReport* one) { return std::tie(one->not_after, one->file); };
  const auto shown = static_cast<std::ptrdiff_t>(std::min(all.size(), limit));
  std::ranges::partial_sort(all, all.begin() + shown, {}, expiry);
  all.resize(static_cast<std::size_t>(shown));
  return all;
}

}  // namespace headgate
