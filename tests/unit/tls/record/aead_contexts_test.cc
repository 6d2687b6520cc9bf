#include "tls/record/aead_contexts.h"

#include <gtest/gtest.h>

#include "unit/tls/record/record_bytes.h"
#include "unit/tls/tls13_pair.h"

namespace headgate {
namespace {

constexpr auto kCachedSuite = RecordSuite::kAes128GcmSha256;

TEST(AeadContexts, KeepAContextForTheSameKey) {
  TestWorker worker;
  const TrafficKeys keys{};
  const KeyId id = worker.contexts.new_key_id();
  EXPECT_EQ(&worker.contexts.context(kCachedSuite, id, AeadUse::kSeal, keys),
            &worker.contexts.context(kCachedSuite, id, AeadUse::kSeal, keys));
}

TEST(AeadContexts, GiveMoreDirectionsThanTheyHoldTheirOwnKeysBack) {
  TestWorker worker;
  std::vector<std::unique_ptr<RecordProtector>> sealers;
  std::vector<std::unique_ptr<RecordOpener>> openers;
  for (std::size_t i = 0; i < AeadContexts::kMaxContexts; ++i) {
    const auto fill = static_cast<unsigned char>(i);
    sealers.push_back(std::make_unique<RecordProtector>(worker.contexts, test_direction(kCachedSuite, fill)));
    openers.push_back(std::make_unique<RecordOpener>(worker.contexts, TlsRole::kServer,
                                                     test_direction(kCachedSuite, fill)));
  }
  ByteVector room(kMaxRecordContentBytes);
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < sealers.size(); ++i) {
      const RecordOpener::Opened opened = openers[i]->open(seal_data(*sealers[i], "own"), room);
      ASSERT_EQ(opened.status, RecordOpener::Status::kNeedsMore) << i << opened.what;
      ASSERT_EQ(string_of(std::span(room).first(opened.produced_bytes)), "own");
    }
  }
}

TEST(AeadContexts, UseTheContextOfADeadDirectionForTheNext) {
  TestWorker worker;
  const TrafficKeys keys{};
  const KeyId first = worker.contexts.new_key_id();
  const AeadContext* context = &worker.contexts.context(kCachedSuite, first, AeadUse::kOpen, keys);
  worker.contexts.forget(kCachedSuite, first);
  worker.contexts.forget(kCachedSuite, first);
  for (std::size_t i = 0; i < AeadContexts::kSets - 1; ++i) EXPECT_NE(worker.contexts.new_key_id(), first);
  EXPECT_EQ(&worker.contexts.context(kCachedSuite, first + AeadContexts::kSets, AeadUse::kSeal, keys),
            context);
}

TEST(AeadContexts, SupportWhatTheLibraryOffers) {
  TestWorker worker;
  for (const RecordSuite suite : kAllSuites) EXPECT_TRUE(worker.contexts.supports(suite));
}

}  // namespace
}  // namespace headgate
