#include "tls/certificate/certificate_canary.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace headgate {
namespace {

/// The counts are evaluated many times a minute, so the bound allows for many evaluations.
constexpr double kRareWhileComparing = 0.001;
/// The counts are evaluated once.
constexpr double kRareAtTheEnd = 0.01;
/// One source whose client leaves proves nothing.
constexpr std::uint64_t kFewestFailures = 2;

/// ln n!. std::lgamma() writes to a variable of all threads.
double log_factorial(double n) {
  int sign = 0;
  return ::lgamma_r(n + 1, &sign);
}

/// ln of the number of ways to choose k of n.
double log_choose(double n, double k) {
  return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

}  // namespace

// If the number of handshakes of each arm and the number of all failures are given, the failures in the new
// arm follow the hypergeometric distribution. Each term of its tail is computed from the term before.
double worse_by_chance(const GroupCounts& with_new, const GroupCounts& with_old) {
  const auto in_new = static_cast<double>(with_new.all());
  const auto in_old = static_cast<double>(with_old.all());
  const auto failures = static_cast<double>(with_new.failed + with_old.failed);
  const auto observed = static_cast<double>(with_new.failed);
  const bool fewer_than_its_share = observed * (in_new + in_old) <= failures * in_new;
  if (fewer_than_its_share) return 1;
  double term = std::exp(log_choose(in_new, observed) + log_choose(in_old, failures - observed) -
                         log_choose(in_new + in_old, failures));
  double sum = 0;
  for (double k = observed; k <= std::min(failures, in_new) && term > sum * 1e-9; ++k) {
    sum += term;
    term *= (in_new - k) * (failures - k) / ((k + 1) * (in_old - failures + k + 1));
  }
  return std::min(sum, 1.0);
}

CanaryVerdict evaluate(const GroupCounts& with_new, const GroupCounts& with_old, std::uint64_t shown,
                       Duration compared, Duration planned, Duration old_lives) {
  if (old_lives <= kCanaryEndsBeforeExpiry) return {CanaryState::kWentOn, "the old one is about to expire"};
  const bool enough = shown >= kEnoughHandshakes && compared >= planned;
  const bool too_long = compared >= planned * kLongestInPlanned;
  const bool over = enough || too_long;
  const double by_chance = with_new.failed < kFewestFailures ? 1 : worse_by_chance(with_new, with_old);
  if (by_chance < (over ? kRareAtTheEnd : kRareWhileComparing))
    return {CanaryState::kWentBack, "more handshakes fail with it than with the old one"};
  if (enough) return {CanaryState::kWentOn, "no more handshakes fail with it than with the old one"};
  if (too_long) return {CanaryState::kWentOn, "in all the time nothing spoke against it"};
  return {};
}

std::uint64_t CertificateCanary::random_secret() {
  std::random_device source;
  return std::uint64_t{source()} << 32U | source();
}

CanaryVerdict evaluate(const CertificateCanary& canary, TimePoint now, WallTime wall_now) {
  const Duration old_lives = canary.old()->not_after() - wall_now;
  const bool is_held_back = canary.state() == CanaryState::kWentBack && old_lives > kCanaryEndsBeforeExpiry;
  if (is_held_back) return {.state = CanaryState::kWentBack};
  const CanarySources::Counts sources = canary.sources().counts();
  return evaluate(sources.with_new, sources.with_old, canary.with_new.counts().all(), now - canary.started(),
                  canary.planned(), old_lives);
}

}  // namespace headgate
