#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/units.h"
#include "tls/certificate/canary_sources.h"
#include "tls/certificate/certificate.h"

namespace headgate {

/// One arm of a comparison, while workers add to it: its handshakes, and the votes of their sources. A
/// handshake that failed for a reason that has nothing to do with a certificate is not counted. Any thread.
class CanaryGroup {
 public:
  /// `sources` outlives it.
  CanaryGroup(CanarySources& sources, CanaryArm arm) : sources_(sources), arm_(arm) {}
  void count_ok(SourceNetwork source) {
    ok_.fetch_add(1, std::memory_order_relaxed);
    sources_.add(source, arm_, CanaryEnding::kOk);
  }
  void count_failed(SourceNetwork source) {
    failed_.fetch_add(1, std::memory_order_relaxed);
    sources_.add(source, arm_, CanaryEnding::kFailed);
  }
  /// Handshakes.
  [[nodiscard]] GroupCounts counts() const {
    return {ok_.load(std::memory_order_relaxed), failed_.load(std::memory_order_relaxed)};
  }

 private:
  CanarySources& sources_;
  CanaryArm arm_;
  std::atomic<std::uint64_t> ok_{0}, failed_{0};
};

enum class CanaryState : std::uint8_t {
  kComparing,  ///< Some handshakes get the new certificate, the rest the old one.
  kWentOn,     ///< All get the new one.
  kWentBack,   ///< All get the old one, until the file changes again.
};

/// One comparison of a changed certificate with the one before it. The supervisor makes and evaluates it;
/// workers ask it in every handshake, and count. Shared by the stores of successive configurations, until a
/// reload finds that it is over. Any thread.
class CertificateCanary {
 public:
  /// `percent` of the handshakes get the new certificate, until about `planned` from `now`.
  CertificateCanary(std::shared_ptr<const StoredCertificate> old, std::uint8_t percent, Duration planned,
                    WallTime now, CanaryState state = CanaryState::kComparing)
      : old_(std::move(old)),
        percent_(percent),
        planned_(planned),
        began_(now),
        started_(Clock::now()),
        state_(state) {}

  [[nodiscard]] const std::shared_ptr<const StoredCertificate>& old() const { return old_; }
  [[nodiscard]] std::uint8_t percent() const { return percent_; }
  [[nodiscard]] Duration planned() const { return planned_; }
  [[nodiscard]] WallTime began() const { return began_; }
  [[nodiscard]] TimePoint started() const { return started_; }  ///< The same moment.
  [[nodiscard]] CanaryState state() const { return state_.load(std::memory_order_relaxed); }
  /// Takes effect with the next handshake. Supervisor.
  void decide(CanaryState state) { state_.store(state, std::memory_order_relaxed); }

  [[nodiscard]] const CanarySources& sources() const { return sources_; }

 private:
  CanarySources sources_{random_secret()};  // before the arms, which refer to it

 public:
  CanaryGroup with_new{sources_, CanaryArm::kNew}, with_old{sources_, CanaryArm::kOld};

 private:
  [[nodiscard]] static std::uint64_t random_secret();

  std::shared_ptr<const StoredCertificate> old_;
  std::uint8_t percent_;
  Duration planned_;
  WallTime began_;
  TimePoint started_;
  std::atomic<CanaryState> state_;
};

/// The result of evaluating the counts. `why` is a literal, for the log.
struct CanaryVerdict {
  CanaryState state = CanaryState::kComparing;
  std::string_view why = "";
};

/// When the time is over, this many handshakes with the new certificate are enough to go on. With so many, a
/// failure that concerns one client in thirty is found more often than not.
inline constexpr std::uint64_t kEnoughHandshakes = 100;
/// With fewer handshakes the comparison goes on for at most this many times the planned time.
inline constexpr int kLongestInPlanned = 6;
/// The old certificate is not used any more when it expires within this time.
inline constexpr Duration kCanaryEndsBeforeExpiry = std::chrono::minutes(1);

/// Decides about a comparison.
///
/// It goes back as soon as more sources fail with the new certificate than chance explains: if both
/// certificates were equally good, so many of all failures would fall into its arm less than once in 1,000
/// times (once in 100 when the time is over; see worse_by_chance()). One failure alone is never enough. It
/// goes on when the time is over and there were enough handshakes, at kLongestInPlanned in any case, and at
/// once when the old certificate is about to expire. `with_new` and `with_old` are the votes of sources,
/// `shown` the handshakes with the new certificate. Pure.
[[nodiscard]] CanaryVerdict evaluate(const GroupCounts& with_new, const GroupCounts& with_old,
                                     std::uint64_t shown, Duration compared, Duration planned,
                                     Duration old_lives);
/// The same for a comparison that may have gone back already. Only the expiry of the old certificate changes
/// that.
[[nodiscard]] CanaryVerdict evaluate(const CertificateCanary& canary, TimePoint now, WallTime wall_now);

/// The probability that at least `with_new.failed` of all failures fall into the new certificate's arm if the
/// certificate has no influence on failures: Fisher's exact test, one-sided. Exact for small counts too.
/// Pure.
[[nodiscard]] double worse_by_chance(const GroupCounts& with_new, const GroupCounts& with_old);

}  // namespace headgate
