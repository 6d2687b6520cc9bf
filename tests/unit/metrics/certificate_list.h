#pragma once

#include <utility>
#include <vector>

#include "metrics/process_state.h"

namespace headgate::test {

/// Certificates that belong to no store.
class ListedCertificates : public CertificateList {
 public:
  explicit ListedCertificates(std::vector<CertificateReport> reports) : reports_(std::move(reports)) {}
  [[nodiscard]] std::size_t size() const override { return reports_.size(); }
  [[nodiscard]] std::vector<Item> items() const override {
    std::vector<Item> all;
    for (const CertificateReport& one : reports_)
      all.push_back({.not_after = one.not_after, .file = one.file, .what = &one, .listener = 0});
    return all;
  }
  [[nodiscard]] CertificateReport report(const Item& item) const override {
    return *static_cast<const CertificateReport*>(item.what);
  }

 private:
  std::vector<CertificateReport> reports_;
};

}  // namespace headgate::test
