#include "tls/record/aead_contexts.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "tls/openssl/openssl_call.h"

namespace headgate {
namespace {

void set_key(EVP_CIPHER_CTX* context, AeadUse use, const TrafficKeys& keys) {
  const auto* key = reinterpret_cast<const unsigned char*>(keys.key.data());
  const auto* iv = reinterpret_cast<const unsigned char*>(keys.iv.data());
  HG_CHECK(EVP_CipherInit_ex(context, nullptr, nullptr, key, iv, static_cast<int>(use)) == 1);
}

}  // namespace

AeadContexts::AeadContexts(OSSL_LIB_CTX* library) {
  for (std::size_t i = 0; i < suites_.size(); ++i) {
    const char* name = row(static_cast<RecordSuite>(i)).cipher;
    suites_[i].cipher.reset(ask_openssl([&] { return EVP_CIPHER_fetch(library, name, nullptr); }));
  }
}

bool AeadContexts::supports(RecordSuite suite) const {
  return suites_[static_cast<std::size_t>(suite)].cipher != nullptr;
}

EVP_CIPHER_CTX* AeadContexts::context(RecordSuite suite, KeyId id, AeadUse use, const TrafficKeys& keys) {
  Suite& contexts = suite_of(suite);
  if (contexts.sets.empty()) contexts.sets.resize(kSets);
  Set& set = contexts.sets[id % kSets];
  if (set.front().id == id) return set.front().context.get();

  auto found = std::find_if(set.begin(), set.end(), [id](const Entry& entry) { return entry.id == id; });
  const bool keyed = found != set.end();
  if (!keyed) {
    found = set.end() - 1;
    if (!found->context) add_contexts(contexts, use);
  }
  std::rotate(set.begin(), found, found + 1);
  Entry& entry = set.front();
  if (keyed) return entry.context.get();

  set_key(entry.context.get(), use, keys);
  entry.id = id;
  return entry.context.get();
}

// Makes one for each set at once. If they were made one by one, they would lie scattered among the
// short-lived objects of handshakes and leave holes between them for good.
void AeadContexts::add_contexts(Suite& suite, AeadUse use) {
  for (Set& set : suite.sets) {
    const auto without =
        std::ranges::find_if(set, [](const Entry& entry) { return entry.context == nullptr; });
    if (without == set.end()) continue;
    CipherCtxPtr context(EVP_CIPHER_CTX_new());
    // The context knows its cipher from now on. Naming the cipher again would make OpenSSL build the context
    // anew. Without a key this fails for nothing but a lack of memory.
    const bool made =
        context != nullptr && ask_openssl([&] {
                                return EVP_CipherInit_ex(context.get(), suite.cipher.get(), nullptr, nullptr,
                                                         nullptr, static_cast<int>(use));
                              }) == 1;
    if (!made) throw std::bad_alloc();
    without->context = std::move(context);
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
  set_key(found->context.get(), AeadUse::kSeal, kNoKeys);
  found->id = 0;
  std::rotate(found, found + 1, set.end());  // the first to be used again
}

}  // namespace headgate
