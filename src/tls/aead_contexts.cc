#include "tls/aead_contexts.h"

#include <algorithm>

#include <openssl/err.h>

#include "base/check.h"

namespace headgate {
namespace {

void set_key(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher, AeadUse use, const TrafficKeys& keys) {
  const auto* key = reinterpret_cast<const unsigned char*>(keys.key.data());
  const auto* iv = reinterpret_cast<const unsigned char*>(keys.iv.data());
  HG_CHECK(EVP_CipherInit_ex(context, cipher, nullptr, key, iv, static_cast<int>(use)) == 1);
}

}  // namespace

AeadContexts::AeadContexts(OSSL_LIB_CTX* library) {
  for (std::size_t i = 0; i < suites_.size(); ++i) {
    suites_[i].cipher.reset(EVP_CIPHER_fetch(library, row(static_cast<RecordSuite>(i)).cipher, nullptr));
    if (!suites_[i].cipher) ERR_clear_error();
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
  if (!keyed) found = set.end() - 1;
  std::rotate(set.begin(), found, found + 1);
  Entry& entry = set.front();
  if (keyed) return entry.context.get();

  // A context knows its cipher after the first time: naming it again would make OpenSSL build the context
  // anew.
  const EVP_CIPHER* cipher = entry.context ? nullptr : contexts.cipher.get();
  if (!entry.context) entry.context.reset(EVP_CIPHER_CTX_new());
  HG_CHECK(entry.context != nullptr);
  set_key(entry.context.get(), cipher, use, keys);
  entry.id = id;
  return entry.context.get();
}

void AeadContexts::forget(RecordSuite suite, KeyId id) {
  Suite& contexts = suite_of(suite);
  if (id == 0 || contexts.sets.empty()) return;
  Set& set = contexts.sets[id % kSets];
  const auto found =
      std::find_if(set.begin(), set.end(), [id](const Entry& entry) { return entry.id == id; });
  if (found == set.end()) return;
  const TrafficKeys kNoKeys{};
  set_key(found->context.get(), nullptr, AeadUse::kSeal, kNoKeys);
  found->id = 0;
  std::rotate(found, found + 1, set.end());  // the first to be used again
}

}  // namespace headgate
