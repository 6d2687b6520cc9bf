#include "metrics/metrics.h"

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "checkout/checkout.h"

namespace headgate {
namespace {

TEST(MetricsTable, HasEveryNameOnce) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < metric_count(); ++i) EXPECT_TRUE(names.insert(row(i).name).second) << i;
}

TEST(MetricsTable, FollowsPrometheusConventions) {
  for (std::size_t i = 0; i < metric_count(); ++i) {
    const MetricRow& about = row(i);
    EXPECT_EQ(about.name.ends_with("_total"), about.kind == MetricKind::kCounter) << about.name;
    EXPECT_TRUE(about.name.starts_with("headgate_") || about.name.starts_with("process_")) << about.name;
    EXPECT_TRUE(about.kind != MetricKind::kHistogram || about.name.ends_with("_seconds") ||
                about.name == "headgate_tcp_retransmits")
        << about.name;
    EXPECT_TRUE(about.help.ends_with('.')) << about.name;
  }
}

TEST(MetricsTable, IsExplainedInTheManualMetricByMetric) {
  std::ifstream file(in_checkout("docs/metrics.md"));
  std::stringstream manual;
  manual << file.rdbuf();
  for (std::size_t i = 0; i < metric_count(); ++i) {
    const std::string name(row(i).name);
    EXPECT_NE(manual.str().find("`" + name + "`"), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace headgate
