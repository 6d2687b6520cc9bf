#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "checkout/checkout.h"
#include "metrics/metrics.h"

namespace headgate {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(in_checkout(path));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Every name that a query may use: a histogram has the names of its three kinds of series.
std::set<std::string> series_names() {
  std::set<std::string> names;
  for (std::size_t i = 0; i < metric_count(); ++i) {
    const MetricRow& about = row(i);
    const std::string name(about.name);
    if (about.kind != MetricKind::kHistogram) names.insert(name);
    if (about.kind == MetricKind::kHistogram)
      names.insert({name + "_bucket", name + "_sum", name + "_count"});
  }
  return names;
}

void expect_only_known_metrics(const std::string& path) {
  const std::string text = text_of(path);
  const std::set<std::string> known = series_names();
  const std::regex metric("\\b(headgate|process)_[a-z0-9_]+");
  ASSERT_NE(text.find("headgate_"), text.npos) << path;
  for (std::sregex_iterator it(text.begin(), text.end(), metric), end; it != end; ++it) {
    EXPECT_TRUE(known.contains(it->str())) << path << ": " << it->str();
  }
}

TEST(AlertRules, UseOnlyMetricsThatExist) {
  expect_only_known_metrics("deploy/alerts/headgate.rules.yml");
}
TEST(Dashboard, UsesOnlyMetricsThatExist) {
  expect_only_known_metrics("deploy/grafana/headgate.json");
}

TEST(AlertRules, FireWhenTheyShould) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) GTEST_SKIP() << "promtool is not installed";
  const std::string rules = in_checkout("deploy/alerts/headgate.rules.test.yml");
  EXPECT_EQ(std::system(("promtool test rules '" + rules + "' >/dev/null").c_str()), 0);
}

}  // namespace
}  // namespace headgate
