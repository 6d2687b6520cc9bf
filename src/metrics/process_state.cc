#include "metrics/process_state.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <tuple>

namespace headgate {

std::size_t certificates_held(const ProcessState& state) {
  return state.certificates == nullptr ? 0 : state.certificates->size();
}

std::vector<CertificateReport> soonest_expiring(const ProcessState& state, std::size_t limit) {
  if (state.certificates == nullptr) return {};
  std::vector<CertificateList::Item> all = state.certificates->items();
  const auto expiry = [](const CertificateList::Item& one) { return std::tie(one.not_after, one.file); };
  const auto shown = static_cast<std::ptrdiff_t>(std::min(all.size(), limit));
  std::ranges::partial_sort(all, all.begin() + shown, {}, expiry);
  std::vector<CertificateReport> reports;
  for (const auto& one : std::span(all).first(static_cast<std::size_t>(shown)))
    reports.push_back(state.certificates->report(one));
  return reports;
}

}  // namespace headgate
