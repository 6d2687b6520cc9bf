#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/units.h"
#include "tls/certificate/certificate.h"

namespace headgate {

/// How the handshakes of one arm have ended: those with the new certificate, or those with the one before it.
/// A handshake that failed for a reason that has nothing to do with a certificate is not counted.
struct GroupCounts {
  std::uint64_t ok = 0, failed = 0;
  [[nodiscard]] std::uint64_t all() const { return ok + failed; }
};

/// The same counts while workers add to them. Any thread.
class CanaryGroup {
 public:
  void count_ok() { ok_.fetch_add(1, std::memory_order_relaxed); }
  void count_failed() { failed_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] GroupCounts counts() const {
    return {ok_.load(std::memory_order_relaxed), failed_.load(std::memory_order_relaxed)};
  }

 private:
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
                    WallTime now)
      : old_(std::move(old)), percent_(percent), planned_(planned), began_(now), started_(Clock::now()) {}

  [[nodiscard]] const std::shared_ptr<const StoredCertificate>& old() const { return old_; }
  [[nodiscard]] std::uint8_t percent() const { return percent_; }
  [[nodiscard]] Duration planned() const { return planned_; }
  [[nodiscard]] WallTime began() const { return began_; }
  [[nodiscard]] TimePoint started() const { return started_; }  ///< The same moment.
  [[nodiscard]] CanaryState state() const { return state_.load(std::memory_order_relaxed); }
  /// Takes effect with the next handshake. Supervisor.
  void decide(CanaryState state) { state_.store(state, std::memory_order_relaxed); }

  CanaryGroup with_new, with_old;

 private:
  std::shared_ptr<const StoredCertificate> old_;
  std::uint8_t percent_;
  Duration planned_;
  WallTime began_;
  TimePoint started_;
  std::atomic<CanaryState> state_{CanaryState::kComparing};
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
/// It goes back as soon as the new certificate has more failures than chance explains: if both certificates
/// were equally good, so many of all failures would fall into its arm less than once in 1,000 times (once in
/// 100 when the time is over; see worse_by_chance()). One failure alone is never enough. It goes on when the
/// time is over and there were enough handshakes, at kLongestInPlanned in any case, and at once when the old
/// certificate is about to expire. Pure.
[[nodiscard]] CanaryVerdict evaluate(const GroupCounts& with_new, const GroupCounts& with_old,
                                     Duration compared, Duration planned, Duration old_lives);
/// The same for a comparison that may have gone back already. Only the expiry of the old certificate changes
/// that.
[[nodiscard]] CanaryVerdict evaluate(const CertificateCanary& canary, TimePoint now, WallTime wall_now);

/// The probability that at least `with_new.failed` of all failures fall into the new certificate's arm if the
/// certificate has no influence on failures: Fisher's exact test, one-sided. Exact for small counts too.
/// Pure.
[[nodiscard]] double worse_by_chance(const GroupCounts& with_new, const GroupCounts& with_old);

}  // namespace headgate
