#include "log/line.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace headgate {
namespace {

using std::chrono::milliseconds;

constexpr WallTime kTime{std::chrono::duration_cast<WallTime::duration>(milliseconds(1'795'341'600'123))};

using Append = void (*)(std::string&, const LogLine&);

std::string line(Append append, std::string_view message, std::vector<LogField> fields = {},
                 LogLevel level = LogLevel::kInfo) {
  std::string out;
  append(out, {kTime, level, message, fields});
  return out;
}

TEST(TextLine, HasTimeLevelMessageAndFields) {
  EXPECT_EQ(line(append_text, "connection ended",
                 {{"listener", "web"}, {"bytes", std::int64_t{12}}, {"took", 0.5}}, LogLevel::kWarn),
            "2026-11-22T10:00:00.123Z warn  connection ended listener=web bytes=12 took=0.5\n");
}

TEST(TextLine, QuotesValuesThatWouldNotReadAsOneWord) {
  EXPECT_EQ(
      line(append_text, "m", {{"a", "va lue"}, {"b", ""}, {"c", "x=y"}, {"d", "say \"hi\"\\"}}).substr(31),
      "m a=\"va lue\" b=\"\" c=\"x=y\" d=\"say \\\"hi\\\"\\\\\"\n");
}

TEST(TextLine, CannotBeBrokenByWhatAClientSends) {
  EXPECT_EQ(line(append_text, "m", {{"sni", "a\nb\r\x1b[31m\x7f"}}).substr(31),
            "m sni=\"a\\nb\\x0d\\x1b[31m\\x7f\"\n");
  EXPECT_EQ(line(append_text, "one\ntwo \"three\"").substr(31), "one\\ntwo \"three\"\n");
}

TEST(TextLine, EscapesBytesThatAreNoUtf8AndKeepsThoseThatAre) {
  EXPECT_EQ(line(append_text, "m", {{"cn", "gr\xC3\xBC\xC3"}}).substr(31), "m cn=\"gr\xC3\xBC\\xc3\"\n");
}

TEST(JsonLine, IsOneObject) {
  EXPECT_EQ(
      line(append_json, "m", {{"sni", "a b"}, {"bytes", std::int64_t{-3}}, {"took", 1.5}}),
      R"({"time":"2026-11-22T10:00:00.123Z","level":"info","message":"m","sni":"a b","bytes":-3,"took":1.5})"
      "\n");
}

TEST(JsonLine, EscapesControlsQuotesSeparatorsAndBadUtf8) {
  const std::string out = line(append_json, "m", {{"v", "\"\\\n\t\xC2\x85\xE2\x80\xA8\xFF"}});
  EXPECT_NE(out.find(R"("v":"\"\\\n\u0009\u0085\u2028\ufffd")"), out.npos) << out;
}

TEST(JsonLine, WritesNullForANumberThatJsonHasNoWordFor) {
  EXPECT_NE(line(append_json, "m", {{"v", std::numeric_limits<double>::infinity()}}).find("\"v\":null"),
            std::string::npos);
}

TEST(JsonLine, RefusesOverlongFormsSurrogatesAndWhatLiesBeyondUnicode) {
  for (const std::string_view bad :
       {"\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8\x88", "\xE2\x80"}) {
    const std::string out = line(append_json, "m", {{"v", bad}});
    EXPECT_NE(out.find("\"v\":\"\\ufffd"), out.npos) << out;
  }
  EXPECT_NE(line(append_json, "m", {{"v", "\xF0\x9F\x94\x92"}}).find("\"v\":\"\xF0\x9F\x94\x92\""),
            std::string::npos);
}

TEST(JournalLine, HasAFieldALine) {
  EXPECT_EQ(line(append_journal, "no backend", {{"listener", "web"}, {"sni", "a\nb"}}, LogLevel::kError),
            "MESSAGE=no backend listener=web sni=\"a\\nb\"\nPRIORITY=3\nSYSLOG_IDENTIFIER=headgate\n"
            "HEADGATE_LISTENER=web\nHEADGATE_SNI=a\\nb\n");
}

TEST(EveryLine, StaysOneLineWhateverByteAValueHolds) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string value(3, static_cast<char>(byte));
    for (const Append append : {append_text, append_json}) {
      const std::string out = line(append, value, {{"v", value}});
      EXPECT_EQ(out.find('\n'), out.size() - 1) << byte;
    }
  }
}

}  // namespace
}  // namespace headgate
