#include "base/close_reason.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace headgate {
namespace {

// A word that is safe as a label value and easy to search for in logs.
bool is_word(std::string_view text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == text.npos;
}

TEST(CloseReason, HasAWordOfItsOwnForEveryEnd) {
  std::set<std::string_view> seen;
  for (std::size_t index = 0; index < kCloseReasonCount; ++index) {
    const std::string_view word = name(static_cast<CloseReason>(index));
    EXPECT_TRUE(is_word(word)) << index << ": " << word;
    EXPECT_TRUE(seen.insert(word).second) << word << " names two ends";
  }
}

TEST(CloseReason, KeepsTheRowsInTheOrderOfTheEnumeration) {
  EXPECT_EQ(name(CloseReason::kFinished), "finished");
  EXPECT_EQ(name(CloseReason::kClientNotAllowed), "client_not_allowed");
  EXPECT_EQ(name(CloseReason::kNoBackend), "no_backend");
  EXPECT_EQ(name(CloseReason::kBackendReset), "backend_reset");
  EXPECT_EQ(name(CloseReason::kIdleTimeout), "idle_timeout");
  EXPECT_EQ(name(CloseReason::kInternal), "internal");
}

TEST(CloseReason, NamesTheSideItsWordBeginsWith) {
  for (std::size_t index = 0; index < kCloseReasonCount; ++index) {
    const CloseReasonRow& end = row(static_cast<CloseReason>(index));
    EXPECT_TRUE(!end.name.starts_with("client_") || end.side == Side::kClient) << end.name;
    EXPECT_TRUE(!end.name.starts_with("backend_") || end.side == Side::kBackend) << end.name;
  }
}

TEST(CloseReason, IsQuietForCleanEndsAndProbesAndLoudForFailures) {
  EXPECT_EQ(row(CloseReason::kFinished).weight, CloseWeight::kQuiet);
  EXPECT_EQ(row(CloseReason::kProbe).weight, CloseWeight::kQuiet);
  EXPECT_EQ(row(CloseReason::kHandshakeFailed).weight, CloseWeight::kFailure);
  EXPECT_EQ(row(CloseReason::kInternal).weight, CloseWeight::kFailure);
}

TEST(Side, HasAWordForEachSide) {
  EXPECT_EQ(name(Side::kNone), "none");
  EXPECT_EQ(name(Side::kClient), "client");
  EXPECT_EQ(name(Side::kBackend), "backend");
}

TEST(HandshakeFailure, HasAWordOfItsOwnForEveryFailure) {
  std::set<std::string_view> seen;
  for (std::size_t index = 0; index < kHandshakeFailureCount; ++index) {
    const std::string_view word = name(static_cast<HandshakeFailure>(index));
    EXPECT_TRUE(is_word(word)) << index << ": " << word;
    EXPECT_TRUE(seen.insert(word).second) << word << " names two failures";
  }
  EXPECT_EQ(name(HandshakeFailure::kInternal), "internal");
}

}  // namespace
}  // namespace headgate
