#include "tls/record/aead_contexts.h"

#include <algorithm>

namespace headgate {

AeadContexts::AeadContexts(const LibraryContext* library) {
  for (std::size_t i = 0; i < suites_.size(); ++i)
    suites_[i].algorithm = find_aead(library, static_cast<RecordSuite>(i));
}

bool AeadContexts::supports(RecordSuite suite) const {
  return suites_[static_cast<std::size_t>(suite)].algorithm != nullptr;
}

AeadContext& AeadContexts::context(RecordSuite suite, KeyId id, AeadUse use, const TrafficKeys& keys) {
  Suite& contexts = suite_of(suite);
  if (contexts.sets.empty()) contexts.sets.resize(kSets);
  Set& set = contexts.sets[id % kSets];
  if (set.front().id == id) return *set.front().context;

  auto found = std::find_if(set.begin(), set.end(), [id](const Entry& entry) { return entry.id == id; });
  const bool keyed = found != set.end();
  if (!keyed) {
    found = set.end() - 1;
    if (!found->context) add_contexts(contexts, use);
  }
  std::rotate(set.begin(), found, found + 1);
  Entry& entry = set.front();
  if (keyed) return *entry.context;

  entry.context->set_key(use, keys);
  entry.id = id;
  return *entry.context;
}

// Makes one for each set at once. If they were made one by one, they would lie scattered among the
// short-lived objects of handshakes and leave holes between them for good.
void AeadContexts::add_contexts(Suite& suite, AeadUse use) {
  for (Set& set : suite.sets) {
    const auto without =
        std::ranges::find_if(set, [](const Entry& entry) { return entry.context == nullptr; });
    if (without == set.end()) continue;
    without->context = suite.algorithm->new_context(use);
    std::rotate(without, without + 1, set.end());  // the first to be used
  }
}

void AeadContexts::forget(RecordSuite suite, KeyId id) {
  Suite& contexts = suite_of(suite);
  if (id == 0 || contexts.sets.empty()) return;
  Set& set = contexts.sets[id % kSets];
  const auto found =
      std::find_if(set.begin(), set.end(), [id](const Entry& entry) { return entry.id == id; });
  if (found == set.end()) return;
  const TrafficKeys kNoKeys{};
  found->context->set_key(AeadUse::kSeal, kNoKeys);
  found->id = 0;
  std::rotate(found, found + 1, set.end());  // the first to be used again
}

}  // namespace headgate
