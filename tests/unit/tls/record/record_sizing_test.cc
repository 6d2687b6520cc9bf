#include "tls/record/record_sizing.h"

#include <gtest/gtest.h>

#include "tls/record/record_layer.h"

namespace headgate {
namespace {

using Milliseconds = RecordSizing::Milliseconds;

/// Sends `bytes` in records of the size that each should have, and returns the size of the last record.
std::size_t send(RecordSizing& sizing, std::size_t bytes, Milliseconds now) {
  sizing.begin_write(now);
  std::size_t size = 0;
  for (; bytes > 0; bytes -= std::min(bytes, size)) {
    size = sizing.next_record_bytes();
    sizing.sent(std::min(bytes, size));
  }
  return size;
}

TEST(RecordSizing, GrowsFromASegmentToAFullRecord) {
  RecordSizing sizing;
  EXPECT_EQ(send(sizing, 1, Milliseconds(5000)), RecordSizing::kSegmentRecordBytes);
  EXPECT_EQ(send(sizing, 8000, Milliseconds(5000)), RecordSizing::kMediumRecordBytes);
  EXPECT_EQ(send(sizing, 100'000, Milliseconds(5000)), kMaxRecordContentBytes);
}

TEST(RecordSizing, StaysLargeWhileItFlows) {
  RecordSizing sizing;
  send(sizing, 100'000, Milliseconds(5000));
  EXPECT_EQ(send(sizing, 1, Milliseconds(5999)), kMaxRecordContentBytes);
  EXPECT_EQ(send(sizing, 1, Milliseconds(6998)), kMaxRecordContentBytes);
}

TEST(RecordSizing, BeginsAnewAfterASecondOfSilence) {
  RecordSizing sizing;
  send(sizing, 100'000, Milliseconds(5000));
  EXPECT_EQ(send(sizing, 1, Milliseconds(6000)), RecordSizing::kSegmentRecordBytes);
}

TEST(RecordSizing, OutlivesTheClocksWrapping) {
  RecordSizing sizing;
  send(sizing, 100'000, Milliseconds(0xffffff00));
  EXPECT_EQ(send(sizing, 1, Milliseconds(0x10)), kMaxRecordContentBytes);
}

}  // namespace
}  // namespace headgate
