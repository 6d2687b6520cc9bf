#include "tls/record/partial_record.h"

#include <gtest/gtest.h>

#include "unit/tls/record/record_bytes.h"

namespace headgate {
namespace {

const ByteVector kRecord = hex("1703030003 aabbcc");

TEST(PartialRecord, KnowsWhatIsMissingAtEveryByte) {
  PartialRecord partial;
  for (std::size_t i = 0; i < kRecord.size(); ++i) {
    EXPECT_FALSE(partial.has_record());
    EXPECT_EQ(partial.missing_bytes(), i < 5 ? 5 - i : kRecord.size() - i);
    partial.append(std::span(kRecord).subspan(i, 1));
  }
  EXPECT_TRUE(partial.has_record());
  EXPECT_EQ(partial.missing_bytes(), 0u);
  EXPECT_EQ(ByteVector(partial.bytes().begin(), partial.bytes().end()), kRecord);
}

TEST(PartialRecord, HasRoomForExactlyWhatIsMissing) {
  PartialRecord partial(std::span<const std::byte>(kRecord).first(6));
  const auto room = partial.room_for_missing();
  ASSERT_EQ(room.size(), 2u);
  room[0] = kRecord[6];
  partial.added(1);
  EXPECT_EQ(partial.missing_bytes(), 1u);
  EXPECT_EQ(partial.room_for_missing().data(), room.data() + 1);
}

TEST(PartialRecord, HasNoRoomWhileItIsEmpty) {
  PartialRecord partial;
  EXPECT_TRUE(partial.room_for_missing().empty());
  EXPECT_TRUE(partial.empty());
}

TEST(PartialRecord, DoesNotWaitForALengthThatIsNotLegal) {
  const PartialRecord partial(hex("170303ffff"));
  EXPECT_TRUE(partial.has_record());
  EXPECT_EQ(partial.missing_bytes(), 0u);
}

TEST(PartialRecord, KeepsSeveralRecordsAndGivesThemUpFromTheFront) {
  ByteVector two = kRecord;
  append(two, kRecord);
  PartialRecord partial(two);
  partial.consume(kRecord.size());
  EXPECT_TRUE(partial.has_record());
  partial.append(std::span(kRecord).first(2));
  partial.consume(kRecord.size());
  EXPECT_EQ(partial.missing_bytes(), 3u);
  partial.consume(2);
  EXPECT_TRUE(partial.empty());
  partial.release_if_empty();
  EXPECT_TRUE(partial.bytes().empty());
}

}  // namespace
}  // namespace headgate
