#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tls/library/aead_context.h"
#include "tls/record/traffic_keys.h"

namespace headgate {

/// Identifies one generation of one direction's keys within a worker. 0 identifies none.
using KeyId = std::uint64_t;

/// A worker's AEAD contexts, so that a connection holds no OpenSSL object at all: only keys, IVs, sequence
/// numbers.
///
/// Up to kMaxContexts contexts of a suite stay keyed for the directions that used one last (each key has 8
/// possible places; the least recently used is replaced). Finding the context again takes about 5 ns. A
/// direction outside the busy set has to key a context at a wake-up, which takes 120 (OpenSSL 3.5) to 250 ns
/// (3.0), in addition to the 300 to 500 ns of a small record. Contexts are made when first needed, kSets at a
/// time, about 1 KiB each. bench/micro has the figures.
///
/// One per worker; its thread only. It must outlive every direction that uses it.
class AeadContexts {
 public:
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kSets = 64;
  static constexpr std::size_t kMaxContexts = kWays * kSets;

  /// `library` must outlive it. A cipher that `library` lacks is not supported, which is no error.
  explicit AeadContexts(const LibraryContext* library);

  /// Whether records of this suite can be protected. If not, the connection stays with OpenSSL.
  [[nodiscard]] bool supports(RecordSuite suite) const;

  /// An id for new keys. Never returns the same id twice.
  [[nodiscard]] KeyId new_key_id() { return ++last_key_id_; }

  /// The context keyed with `key` for `use`. Valid until the next call of any function here. Keys a context
  /// if `id` has none. Throws std::bad_alloc where OpenSSL has no memory for a context.
  [[nodiscard]] AeadContext& context(RecordSuite suite, KeyId id, AeadUse use, const TrafficKeys& keys);

  /// Wipes the context of keys that are no longer used, if they have one.
  void forget(RecordSuite suite, KeyId id);

 private:
  struct Entry {
    KeyId id = 0;
    std::unique_ptr<AeadContext> context;
  };
  using Set = std::array<Entry, kWays>;  // the most recently used first
  struct Suite {
    std::unique_ptr<AeadAlgorithm> algorithm;  // nullptr: the library lacks it
    std::vector<Set> sets;                     // empty until a connection uses the suite
  };

  static void add_contexts(Suite& suite, AeadUse use);
  [[nodiscard]] Suite& suite_of(RecordSuite suite) { return suites_[static_cast<std::size_t>(suite)]; }

  std::array<Suite, kRecordSuiteCount> suites_;
  KeyId last_key_id_ = 0;
};

}  // namespace headgate
