#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "checkout/checkout.h"
#include "config/load.h"
#include "config/show.h"
#include "unit/config/loading.h"

namespace headgate::config {
namespace {

std::vector<std::string> example_paths() {
  std::vector<std::string> paths{in_checkout("config/headgate.yaml")};
  for (const auto& entry : std::filesystem::directory_iterator(in_checkout("config/examples"))) {
    if (entry.is_regular_file()) paths.push_back(entry.path().string());
  }
  return paths;
}

class Examples : public testing::TestWithParam<std::string> {};

TEST_P(Examples, LoadWithoutAFaultOrAWarning) {
  EXPECT_EQ(fault_lines(load_file(GetParam())), "");
}

TEST_P(Examples, AreTheSameOnceShownAndLoadedAgain) {
  const Config config = load_file(GetParam()).config;
  const Loaded again = load_text(show(config), "shown.yaml", "/elsewhere");
  EXPECT_EQ(fault_lines(again), "");
  EXPECT_EQ(again.config, config);
}

INSTANTIATE_TEST_SUITE_P(Config, Examples, testing::ValuesIn(example_paths()), [](const auto& example) {
  std::string name;
  for (const char c : std::filesystem::path(example.param).stem().string()) name += std::isalnum(c) ? c : '_';
  return name;
});

}  // namespace
}  // namespace headgate::config
