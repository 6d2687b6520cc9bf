#include "admin/request_target.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

void expect_parts(std::string_view text, std::string_view host, std::string_view path,
                  std::string_view query) {
  const RequestTarget target = parse_target(text);
  EXPECT_EQ(target.host, host) << text;
  EXPECT_EQ(target.path, path) << text;
  EXPECT_EQ(target.query, query) << text;
}

TEST(RequestTarget, HasAPathAndAQuery) {
  expect_parts("/log?level=debug&for=1m", "", "/log", "level=debug&for=1m");
  expect_parts("/metrics", "", "/metrics", "");
  expect_parts("/%6Detrics+", "", "/metrics+", "");
  expect_parts("/a%3Fb?c?d", "", "/a?b", "c?d");
}

TEST(RequestTarget, MayNameTheHost) {
  expect_parts("http://h:1/log?a=b", "h:1", "/log", "a=b");
  expect_parts("HTTP://h", "h", "/", "");
  expect_parts("http://h?a=b", "h", "/", "a=b");
}

TEST(RequestTarget, IsAllPathInAnotherForm) {
  expect_parts("*", "", "*", "");
  expect_parts("", "", "/", "");
  expect_parts("http://", "", "http://", "");
  expect_parts("/%", "", "/%", "");
}

}  // namespace
}  // namespace headgate
