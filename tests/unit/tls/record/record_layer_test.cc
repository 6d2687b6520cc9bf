#include "tls/record/record_layer.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "unit/tls/record/record_bytes.h"
#include "unit/tls/tls13_pair.h"

namespace headgate {
namespace {

using Status = RecordOpener::Status;

constexpr std::size_t kRoomBytes = 64 * 1024;
const ByteVector kKeyUpdateAsked = hex("18000001 01");
const ByteVector kKeyUpdateNotAsked = hex("18000001 00");

/// A sealing and an opening end with the same secret, of one suite.
struct Ends {
  explicit Ends(RecordSuite suite = RecordSuite::kAes128GcmSha256, TlsRole role = TlsRole::kServer,
                std::uint64_t sequence_number = 0)
      : sealer(worker.contexts, test_direction(suite, 7, sequence_number)),
        opener(worker.contexts, role, test_direction(suite, 7, sequence_number)) {}

  RecordOpener::Opened open(const ByteVector& ciphertext) { return opener.open(ciphertext, room); }
  /// Opens a record that must be application data, and returns the data.
  std::string open_data(const ByteVector& ciphertext) {
    const RecordOpener::Opened opened = open(ciphertext);
    EXPECT_EQ(opened.status, Status::kNeedsMore) << opened.what;
    EXPECT_EQ(opened.consumed_bytes, ciphertext.size());
    return string_of(std::span(room).first(opened.produced_bytes));
  }
  void expect_refused(const ByteVector& ciphertext, Alert alert) {
    const RecordOpener::Opened opened = open(ciphertext);
    EXPECT_EQ(opened.status, Status::kProtocol);
    EXPECT_EQ(opened.alert, alert) << opened.what;
    EXPECT_EQ(opened.produced_bytes, 0u);
  }
  ByteVector handshake(const ByteVector& content) { return seal(sealer, ContentType::kHandshake, content); }

  /// A KeyUpdate in its record, which asks for ours.
  ByteVector key_update() {
    ByteVector record(64);
    record.resize(sealer.seal_key_update(KeyUpdateRequest::kRequested, record));
    return record;
  }

  /// The sealer follows a KeyUpdate that was sealed by hand.
  void update_sealer() {
    ByteVector record(64);
    sealer.seal_key_update(KeyUpdateRequest::kNotRequested, record);
  }

  TestWorker worker;
  RecordProtector sealer;
  RecordOpener opener;
  ByteVector room = ByteVector(kRoomBytes);
};

// RFC 8448, section 3: the records behind the handshake.
const auto kTraceClientSecret = hex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
const auto kTraceServerSecret = hex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
const auto kTracePlaintext = hex(
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031");
const auto kTraceClientData =
    hex("1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b6297"
        "4e1f5a6292a2"
        "977014bd1e3deae63aeebb21694915e4");
const auto kTraceServerData =
    hex("17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc4"
        "9c4bf2e5f0a2"
        "1c0047c2abf332540dd032e167c2955d");
const auto kTraceClientAlert = hex("1703030013c9872760655666b74d7ff1153efd6db6d0b0e3");
const auto kTraceServerAlert = hex("1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9");

struct TraceDirection {
  const char* name;
  ByteVector secret;
  std::uint64_t first_record;  // the server's first is a session ticket
  ByteVector data, alert;
};
const TraceDirection kTrace[] = {
    {"client", kTraceClientSecret, 0, kTraceClientData, kTraceClientAlert},
    {"server", kTraceServerSecret, 1, kTraceServerData, kTraceServerAlert},
};

TEST(RecordProtector, SealsTheRecordsOfTheTraceInRfc8448) {
  TestWorker worker;
  for (const TraceDirection& trace : kTrace) {
    RecordProtector sealer(worker.contexts,
                           {RecordSuite::kAes128GcmSha256, TrafficSecret(trace.secret), trace.first_record});
    EXPECT_EQ(seal(sealer, ContentType::kApplicationData, kTracePlaintext), trace.data) << trace.name;
    ByteVector alert(64);
    alert.resize(sealer.seal_alert(Alert::kCloseNotify, alert));
    EXPECT_EQ(alert, trace.alert) << trace.name;
  }
}

TEST(RecordOpener, OpensTheRecordsOfTheTraceInRfc8448) {
  TestWorker worker;
  ByteVector room(kRoomBytes);
  for (const TraceDirection& trace : kTrace) {
    RecordOpener opener(worker.contexts, TlsRole::kServer,
                        {RecordSuite::kAes128GcmSha256, TrafficSecret(trace.secret), trace.first_record});
    ByteVector records = trace.data;
    append(records, trace.alert);
    const RecordOpener::Opened opened = opener.open(records, room);
    EXPECT_EQ(opened.status, Status::kEnded) << trace.name;
    EXPECT_EQ(ByteVector(room.begin(), room.begin() + 50), kTracePlaintext);
    EXPECT_EQ(opened.produced_bytes, kTracePlaintext.size());
  }
}

class EverySuite : public testing::TestWithParam<RecordSuite> {};
INSTANTIATE_TEST_SUITE_P(Suites, EverySuite, testing::ValuesIn(kAllSuites),
                         [](const auto& suite) { return "Suite" + std::to_string(row(suite.param).number); });

TEST_P(EverySuite, OpensWhatItSealedForSizesAroundEveryBoundary) {
  Ends ends(GetParam());
  for (const std::size_t size :
       {1ul, 15ul, 16ul, 17ul, 511ul, 512ul, 513ul, 527ul, 528ul, 529ul, 1300ul, 4096ul, 16383ul, 16384ul}) {
    std::string text(size, 'x');
    text.back() = 'y';
    EXPECT_EQ(ends.open_data(seal_data(ends.sealer, text)), text) << size;
  }
}

TEST_P(EverySuite, OpensAFullRecordIntoRoomForItsContentAlone) {
  Ends ends(GetParam());
  const std::string text(kMaxRecordContentBytes, 'x');
  const ByteVector record = seal_data(ends.sealer, text);
  ByteVector exact(kMaxRecordContentBytes);
  const RecordOpener::Opened opened = ends.opener.open(record, exact);
  EXPECT_EQ(opened.produced_bytes, exact.size());
  EXPECT_EQ(string_of(exact), text);
}

TEST_P(EverySuite, OpensAPaddedRecordOfFullLengthIntoRoomForItsContentAlone) {
  Ends ends(GetParam());
  const ByteVector record =
      seal_padded(ends.sealer, ContentType::kApplicationData, "short", kMaxRecordContentBytes - 5);
  ASSERT_EQ(record.size(), kMaxRecordBytes);
  ByteVector exact(kMaxRecordContentBytes);
  const RecordOpener::Opened opened = ends.opener.open(record, exact);
  EXPECT_EQ(string_of(std::span(exact).first(opened.produced_bytes)), "short");
}

TEST_P(EverySuite, RefusesARecordWithAnyByteDamaged) {
  Ends ends(GetParam());
  const ByteVector good = seal_data(ends.sealer, "forty-two bytes or so of application data");
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const std::byte flip : {std::byte{0x01}, std::byte{0x80}, std::byte{0xff}}) {
      RecordOpener opener(ends.worker.contexts, TlsRole::kServer, test_direction(GetParam()));
      ByteVector damaged = good;
      damaged[i] ^= flip;
      damaged.resize(kMaxRecordBytes);  // so that there is a longer length, too
      const RecordOpener::Opened opened = opener.open(damaged, ends.room);
      EXPECT_EQ(opened.status, Status::kProtocol) << i;
      EXPECT_EQ(opened.produced_bytes, 0u) << i;
      const bool too_long = opened.alert == Alert::kRecordOverflow && i == 3;
      const bool other_type = opened.alert == Alert::kUnexpectedMessage && i == 0;
      EXPECT_TRUE(opened.alert == Alert::kBadRecordMac || too_long || other_type) << i;
    }
  }
}

TEST_P(EverySuite, WaitsForMoreOnEveryPrefixOfARecord) {
  Ends ends(GetParam());
  const ByteVector record = seal_data(ends.sealer, "something");
  for (std::size_t size = 0; size < record.size(); ++size) {
    const RecordOpener::Opened opened =
        ends.open({record.begin(), record.begin() + static_cast<std::ptrdiff_t>(size)});
    EXPECT_EQ(opened.status, Status::kNeedsMore);
    EXPECT_EQ(opened.consumed_bytes, 0u);
  }
  EXPECT_EQ(ends.open_data(record), "something");
}

TEST_P(EverySuite, GoesOnWithTheNextKeysBehindAKeyUpdate) {
  Ends ends(GetParam());
  for (int generation = 0; generation < 3; ++generation) {
    ByteVector records = seal_data(ends.sealer, "before ");
    ByteVector update(64);
    update.resize(ends.sealer.seal_key_update(KeyUpdateRequest::kNotRequested, update));
    append(records, update);
    append(records, seal_data(ends.sealer, "behind"));
    EXPECT_EQ(ends.open_data(records), "before behind");
    EXPECT_EQ(ends.opener.state().sequence_number, 1u);
    EXPECT_FALSE(ends.opener.take_key_update_request());
  }
}

TEST_P(EverySuite, CarriesOnFromItsStateInAnotherPlace) {
  Ends here(GetParam());
  EXPECT_EQ(here.open_data(seal_data(here.sealer, "one")), "one");
  TestWorker elsewhere;
  RecordProtector sealer(elsewhere.contexts, here.sealer.state());
  EXPECT_EQ(here.open_data(seal_data(sealer, "two")), "two");
}

TEST(RecordOpener, DoesNotOpenARecordTwice) {
  Ends ends;
  const ByteVector record = seal_data(ends.sealer, "once");
  EXPECT_EQ(ends.open_data(record), "once");
  ends.expect_refused(record, Alert::kBadRecordMac);
}

TEST(RecordOpener, DeliversDataInFrontOfWhatEndsIt) {
  Ends ends;
  ByteVector records = seal_data(ends.sealer, "data");
  append(records, hex("1403030001 01"));
  const RecordOpener::Opened opened = ends.open(records);
  EXPECT_EQ(opened.status, Status::kProtocol);
  EXPECT_EQ(opened.produced_bytes, 4u);
}

TEST(RecordOpener, StopsWhereTheNextRecordHasNoRoom) {
  Ends ends;
  ByteVector records = seal_data(ends.sealer, std::string(10'000, 'a'));
  const std::size_t first = records.size();
  append(records, seal_data(ends.sealer, std::string(10'000, 'b')));
  const RecordOpener::Opened opened =
      ends.opener.open(records, std::span(ends.room).first(kMaxRecordContentBytes));
  EXPECT_EQ(opened.status, Status::kNoRoom);
  EXPECT_EQ(opened.consumed_bytes, first);
  EXPECT_EQ(ends.open_data({records.begin() + static_cast<std::ptrdiff_t>(first), records.end()}),
            std::string(10'000, 'b'));
}

TEST(RecordOpener, TakesAnyVersionInTheHeaderAsLongAsItIsAuthentic) {
  // The version is authenticated, as all of the header is. So a record with any version opens if it was
  // sealed with it: RFC 8446, section 5.2.
  Ends ends;
  ByteVector record = seal_data(ends.sealer, "x");
  record[2] = std::byte{1};
  ends.expect_refused(record, Alert::kBadRecordMac);
}

TEST(RecordOpener, StripsPadding) {
  Ends ends;
  for (const std::size_t padding : {1u, 15u, 16u, 200u, 16000u}) {
    EXPECT_EQ(ends.open_data(seal_padded(ends.sealer, ContentType::kApplicationData, "text", padding)),
              "text");
  }
}

TEST(RecordOpener, RefusesARecordOfNothingButPadding) {
  Ends ends;
  ends.expect_refused(seal(ends.sealer, ContentType{0}, ByteVector(20)), Alert::kUnexpectedMessage);
}

TEST(RecordOpener, RefusesARecordThatIsTooLongBeforeItIsWhole) {
  Ends ends;
  ends.expect_refused(hex("1703034012"), Alert::kRecordOverflow);  // 2^14 + 1 + 16 is the most
  ends.expect_refused(hex("170303ffff"), Alert::kRecordOverflow);
}

TEST(RecordOpener, RefusesARecordThatIsTooShortForItsProtection) {
  for (const char* header : {"1703030000", "1703030001", "1703030010"}) {
    Ends ends;
    ends.expect_refused(hex(header), Alert::kBadRecordMac);
  }
}

TEST(RecordOpener, RefusesEveryRecordThatIsNotProtected) {
  for (const char* record : {"1403030001 01", "1503030002 0100", "1603030004 18000000", "474554202f"}) {
    Ends ends;
    ends.expect_refused(hex(record), Alert::kUnexpectedMessage);
  }
}

TEST(RecordOpener, RefusesEveryInnerTypeButTheThree) {
  for (int type = 1; type < 256; ++type) {
    if (type >= 21 && type <= 23) continue;
    Ends ends;
    ends.expect_refused(seal(ends.sealer, static_cast<ContentType>(type), text_bytes("x")),
                        Alert::kUnexpectedMessage);
  }
}

TEST(RecordOpener, BoundsRecordsWithoutData) {
  Ends ends;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < RecordOpener::kMaxDatalessRecords; ++i)
      EXPECT_EQ(ends.open_data(seal_data(ends.sealer, "")), "");
    EXPECT_EQ(ends.open_data(seal_data(ends.sealer, "x")), "x");
  }
  for (int i = 0; i < RecordOpener::kMaxDatalessRecords; ++i)
    EXPECT_EQ(ends.open_data(seal_data(ends.sealer, "")), "");
  ends.expect_refused(seal_data(ends.sealer, ""), Alert::kUnexpectedMessage);
}

TEST(RecordOpener, BoundsAStormOfKeyUpdatesAndCountsThem) {
  Ends ends;
  ByteVector storm;
  for (std::uint32_t i = 0; i <= MessageBudget::kPerSecond; ++i) append(storm, ends.key_update());
  append(storm, seal_data(ends.sealer, "behind"));
  const RecordOpener::Opened opened = ends.open(storm);
  EXPECT_EQ(opened.status, Status::kFlood);
  EXPECT_EQ(opened.alert, Alert::kUnexpectedMessage);
  EXPECT_EQ(opened.key_updates, MessageBudget::kPerSecond + 1);
  EXPECT_EQ(opened.produced_bytes, 0u);
}

TEST(RecordOpener, SmallDataBetweenThemDoesNotAllowMoreKeyUpdates) {
  Ends ends;
  for (std::uint32_t i = 0; i < MessageBudget::kPerSecond; ++i) {
    ASSERT_EQ(ends.open_data(ends.key_update()), "");
    ASSERT_EQ(ends.open_data(seal_data(ends.sealer, "x")), "x");
    ends.opener.sent(1);
  }
  EXPECT_EQ(ends.open(ends.key_update()).status, Status::kFlood);
}

TEST(RecordOpener, AllowsKeyUpdatesForEverWhileTheOtherDirectionMovesBytes) {
  Ends ends;
  for (std::uint32_t i = 0; i < 20 * MessageBudget::kPerSecond; ++i) {
    ASSERT_EQ(ends.open_data(ends.key_update()), "");
    ends.opener.sent(MessageBudget::kBytesPerMessage);
  }
}

TEST(RecordOpener, AllowsAKeyUpdateForEachRecordThatThePeerHasYetToRead) {
  constexpr std::size_t kUnread = 900;
  Ends ends;
  for (std::size_t i = 0; i < kUnread; ++i) ends.opener.sent(kMaxRecordContentBytes);
  for (std::size_t i = 0; i < kUnread; ++i) ASSERT_EQ(ends.open_data(ends.key_update()), "") << i;
}

TEST(RecordOpener, DoesNotCountKeyUpdatesAmongTheRecordsWithoutData) {
  Ends ends;
  for (int i = 0; i < RecordOpener::kMaxDatalessRecords; ++i) {
    ASSERT_EQ(ends.open_data(seal_data(ends.sealer, "")), "");
    ASSERT_EQ(ends.open_data(ends.key_update()), "");
  }
  ends.expect_refused(seal_data(ends.sealer, ""), Alert::kUnexpectedMessage);
}

TEST(RecordOpener, SaysOnceThatAKeyUpdateIsAskedFor) {
  Ends ends;
  ByteVector update(64);
  update.resize(ends.sealer.seal_key_update(KeyUpdateRequest::kRequested, update));
  EXPECT_EQ(ends.open_data(update), "");
  EXPECT_TRUE(ends.opener.take_key_update_request());
  EXPECT_FALSE(ends.opener.take_key_update_request());
}

TEST(RecordOpener, TakesAKeyUpdateInFragments) {
  Ends ends;
  for (const std::byte octet : kKeyUpdateAsked) {
    EXPECT_FALSE(ends.opener.take_key_update_request());
    EXPECT_EQ(ends.open_data(ends.handshake({octet})), "");
  }
  EXPECT_TRUE(ends.opener.take_key_update_request());
  EXPECT_EQ(ends.opener.state().sequence_number, 0u);
}

TEST(RecordOpener, RefusesDataInsideAHandshakeMessage) {
  Ends ends;
  EXPECT_EQ(ends.open_data(ends.handshake(hex("180000"))), "");
  EXPECT_FALSE(ends.opener.between_messages());
  ends.expect_refused(seal_data(ends.sealer, "x"), Alert::kUnexpectedMessage);
}

TEST(RecordOpener, RefusesAKeyUpdateThatDoesNotEndItsRecord) {
  for (const char* rest : {"00", "18000001 00"}) {
    Ends ends;
    ByteVector messages = kKeyUpdateNotAsked;
    append(messages, hex(rest));
    ends.expect_refused(ends.handshake(messages), Alert::kUnexpectedMessage);
  }
}

TEST(RecordOpener, RefusesAMalformedKeyUpdate) {
  struct Case {
    const char* message;
    Alert alert;
  };
  for (const Case& malformed : {Case{"18000001 02", Alert::kIllegalParameter},
                                {"18000001 ff", Alert::kIllegalParameter},
                                {"18000000", Alert::kDecodeError},
                                {"18000002 0000", Alert::kDecodeError},
                                {"18010001 00", Alert::kDecodeError}}) {
    Ends ends;
    ends.expect_refused(ends.handshake(hex(malformed.message)), malformed.alert);
  }
}

TEST(RecordOpener, RefusesEveryOtherHandshakeMessageOfAClient) {
  for (int type = 0; type < 256; ++type) {
    if (type == 24) continue;
    Ends ends;
    ByteVector message = hex("00000001 00");
    message[0] = static_cast<std::byte>(type);
    ends.expect_refused(ends.handshake(message), Alert::kUnexpectedMessage);
  }
}

TEST(RecordOpener, RefusesAnEmptyHandshakeRecord) {
  Ends ends;
  ends.expect_refused(ends.handshake({}), Alert::kUnexpectedMessage);
}

TEST(RecordOpener, SkipsABackendsSessionTicketsHoweverTheyAreCut) {
  Ends ends(RecordSuite::kAes128GcmSha256, TlsRole::kClient);
  ByteVector tickets = hex("040000c8");
  tickets.resize(204);
  append(tickets, hex("04000000"));
  append(tickets, kKeyUpdateNotAsked);
  for (std::size_t cut = 1; cut < tickets.size(); ++cut) {
    const auto middle = tickets.begin() + static_cast<std::ptrdiff_t>(cut);
    EXPECT_EQ(ends.open_data(ends.handshake({tickets.begin(), middle})), "") << cut;
    EXPECT_EQ(ends.open_data(ends.handshake({middle, tickets.end()})), "") << cut;
    ASSERT_TRUE(ends.opener.between_messages()) << cut;
    ends.update_sealer();
    ends.opener.sent(MessageBudget::kBytesPerMessage);
    EXPECT_EQ(ends.open_data(seal_data(ends.sealer, "data")), "data") << cut;
  }
}

TEST(RecordOpener, RefusesASessionTicketLongerThanAnyCanBe) {
  Ends ends(RecordSuite::kAes128GcmSha256, TlsRole::kClient);
  ends.expect_refused(ends.handshake(hex("04ffffff")), Alert::kDecodeError);
}

TEST(RecordOpener, EndsAtCloseNotifyWhateverLevelItHasAndIgnoresTheRest) {
  for (const char* alert : {"0100", "0200"}) {
    Ends ends;
    ByteVector records = seal(ends.sealer, ContentType::kAlert, hex(alert));
    append(records, hex("ffffffffff"));
    EXPECT_EQ(ends.open(records).status, Status::kEnded);
  }
}

TEST(RecordOpener, TakesEveryOtherAlertForFatalWhateverLevelItHas) {
  for (int alert = 1; alert < 256; ++alert) {
    if (alert == static_cast<int>(Alert::kUserCanceled)) continue;
    Ends ends;
    const RecordOpener::Opened opened = ends.open(
        seal(ends.sealer, ContentType::kAlert, ByteVector{std::byte{1}, static_cast<std::byte>(alert)}));
    EXPECT_EQ(opened.status, Status::kPeerAlert);
    EXPECT_EQ(static_cast<int>(opened.alert), alert);
  }
}

TEST(RecordOpener, PassesOverUserCanceled) {
  Ends ends;
  EXPECT_EQ(ends.open_data(seal(ends.sealer, ContentType::kAlert, hex("015a"))), "");
}

TEST(RecordOpener, RefusesAlertsThatAreNotTwoBytes) {
  struct Case {
    const char* content;
    Alert alert;
  };
  for (const Case& malformed : {Case{"", Alert::kUnexpectedMessage},
                                {"01", Alert::kDecodeError},
                                {"010001", Alert::kDecodeError},
                                {"01000100", Alert::kDecodeError}}) {
    Ends ends;
    ends.expect_refused(seal(ends.sealer, ContentType::kAlert, hex(malformed.content)), malformed.alert);
  }
}

TEST(RecordProtector, WantsAKeyUpdateWellBeforeTheLimitOfItsCipher) {
  Ends ends(RecordSuite::kAes128GcmSha256, TlsRole::kServer, RecordProtector::kRecordsPerKey - 1);
  EXPECT_FALSE(ends.sealer.key_is_worn());
  EXPECT_EQ(ends.open_data(seal_data(ends.sealer, "last")), "last");
  EXPECT_TRUE(ends.sealer.key_is_worn());
  ByteVector update(64);
  update.resize(ends.sealer.seal_key_update(KeyUpdateRequest::kNotRequested, update));
  EXPECT_EQ(ends.open_data(update), "");
  EXPECT_FALSE(ends.sealer.key_is_worn());
  EXPECT_EQ(ends.open_data(seal_data(ends.sealer, "first")), "first");
}

TEST(RecordProtectorDeathTest, SealsNothingAtTheLimitOfItsCipher) {
  Ends ends(RecordSuite::kAes128GcmSha256, TlsRole::kServer, RecordProtector::kMaxRecordsPerKey);
  EXPECT_DEATH(seal_data(ends.sealer, "x"), "kMaxRecordsPerKey");
}

TEST(RecordProtector, CountsThroughEveryByteOfTheSequenceNumber) {
  for (const std::uint64_t number : {0xffull, 0xffffull, 0x7fffffull}) {
    Ends ends(RecordSuite::kAes128GcmSha256, TlsRole::kServer, number);
    EXPECT_EQ(ends.open_data(seal_data(ends.sealer, "a")), "a");
    EXPECT_EQ(ends.open_data(seal_data(ends.sealer, "b")), "b");
  }
}

}  // namespace
}  // namespace headgate
