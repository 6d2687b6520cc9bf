#include "admin/query.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

TEST(ParseQuery, TakesNamesAndValues) {
  const auto query = parse_query("level=debug&listener=a%20b+c&x=");
  ASSERT_TRUE(query.has_value());
  EXPECT_EQ(query->at("level"), "debug");
  EXPECT_EQ(query->at("listener"), "a b c");
  EXPECT_EQ(query->at("x"), "");
  EXPECT_TRUE(parse_query("")->empty());
  EXPECT_TRUE(parse_query("&&")->empty());
}

TEST(ParseQuery, RefusesWhatItCannotRead) {
  for (const std::string_view bad : {"level", "a=%", "a=%4", "a=%zz", "a=%-1", "%=b", "a=1&a=2", "a=1&b"}) {
    const auto query = parse_query(bad);
    ASSERT_FALSE(query.has_value()) << bad;
    EXPECT_EQ(query.error().kind, ErrorKind::kMalformed) << bad;
  }
}

TEST(ParseQuery, SurvivesEveryPrefixAndEveryDamagedByte) {
  const std::string good = "level=debug&listener=%41%2f&offset=10";
  for (std::size_t size = 0; size <= good.size(); ++size)
    static_cast<void>(parse_query(good.substr(0, size)));
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string damaged = good;
      damaged[i] = static_cast<char>(byte);
      static_cast<void>(parse_query(damaged));
    }
  }
}

}  // namespace
}  // namespace headgate
