#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "net/source_address.h"

namespace headgate {

/// How the handshakes of one arm have ended: those with the new certificate, or those with the one before it.
struct GroupCounts {
  std::uint64_t ok = 0, failed = 0;
  [[nodiscard]] std::uint64_t all() const { return ok + failed; }
};

enum class CanaryArm : std::uint8_t { kNew, kOld };
enum class CanaryEnding : std::uint8_t { kOk, kFailed };

/// The sources whose clients met two certificates that are compared: an IPv4 address or an IPv6 /64 each.
///
/// A source has one vote in each arm, the end of its first handshake there, so one client decides nothing by
/// coming often, and the share of the handshakes that an arm gets does not matter. A failure counts only of a
/// known-good source: one that a handshake of this listener has succeeded with, in either arm, since the
/// comparison began. A client that only ever fails says nothing about a certificate.
///
/// 16,384 sources at most, in 256 KiB. When there is no place for a new one, it takes that of a source that
/// is not known as good, and without such a source it is not counted. Any thread.
class CanarySources {
 public:
  /// `secret` decides which sources share places, so that nobody can choose sources that drive out others.
  explicit CanarySources(std::uint64_t secret);

  void add(SourceNetwork source, CanaryArm arm, CanaryEnding ending);

  struct Counts {
    GroupCounts with_new, with_old;  ///< Sources by their votes.
  };
  [[nodiscard]] Counts counts() const;

 private:
  enum class Vote : std::uint8_t { kNone, kOk, kFailed };
  struct Source {
    SourceNetwork network = 0;
    Vote with_new = Vote::kNone, with_old = Vote::kNone;
    bool known_good = false;
    bool used = false;
  };
  static constexpr std::size_t kPlaces = 8;  // of one bucket
  static constexpr std::size_t kBuckets = 2048;
  using Bucket = std::array<Source, kPlaces>;

  [[nodiscard]] Source* place_for(SourceNetwork source);

  std::uint64_t secret_;
  mutable std::mutex mutex_;
  std::vector<Bucket> buckets_;
};

}  // namespace headgate
