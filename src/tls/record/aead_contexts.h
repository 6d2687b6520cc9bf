#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tls/openssl/openssl_types.h"
#include "tls/record/traffic_keys.h"

namespace headgate {

/// Names one generation of one direction's keys within a worker. 0 names none.
using KeyId = std::uint64_t;

/// Whether a context seals or opens; a key does one of the two for all its life.
enum class AeadUse : std::uint8_t { kOpen = 0, kSeal = 1 };

/// A worker's AEAD contexts, so that a connection holds no OpenSSL object at all: only keys, IVs, sequence
/// numbers.
///
/// Up to kMaxContexts contexts per suite stay keyed for those that used one last (8 places for a key to be
/// in, the least recently used gives way). Finding the context again costs about 5 ns; keying one anew, which
/// is what a direction outside the busy set pays at a wake-up, 120 (OpenSSL 3.5) to 250 ns (3.0) beside the
/// 300 to 500 ns that a small record costs anyway. Contexts are made when first needed, kSets at a time,
/// about 1 KiB each.
/// bench/micro has the figures.
///
/// One per worker; its thread only. Outlives every direction that uses it.
class AeadContexts {
 public:
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kSets = 64;
  static constexpr std::size_t kMaxContexts = kWays * kSets;

  /// `library` outlives it. Ciphers that it does not offer are not supported; nothing fails.
  explicit AeadContexts(OSSL_LIB_CTX* library);

  /// Whether records of this suite can be protected; where not, the connection stays with OpenSSL.
  [[nodiscard]] bool supports(RecordSuite suite) const;

  /// A name for keys that are new. Never given twice.
  [[nodiscard]] KeyId new_key_id() { return ++last_key_id_; }

  /// The context keyed with `key` for `use`. Valid until the next call of anything here. Keys it if `id` has
  /// none.
  [[nodiscard]] EVP_CIPHER_CTX* context(RecordSuite suite, KeyId id, AeadUse use, const TrafficKeys& keys);

  /// Wipes the context of keys that are no longer used, if there is one. 0 names none.
  void forget(RecordSuite suite, KeyId id);

 private:
  struct Entry {
    KeyId id = 0;
    CipherCtxPtr context;
  };
  using Set = std::array<Entry, kWays>;  // the most recently used first
  struct Suite {
    CipherPtr cipher;
    std::vector<Set> sets;  // empty until a connection uses the suite
  };

  static void add_contexts(Suite& suite, AeadUse use);
  [[nodiscard]] Suite& suite_of(RecordSuite suite) { return suites_[static_cast<std::size_t>(suite)]; }

  std::array<Suite, kRecordSuiteCount> suites_;
  KeyId last_key_id_ = 0;
};

}  // namespace headgate
