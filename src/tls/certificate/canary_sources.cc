#include "tls/certificate/canary_sources.h"

#include <algorithm>

namespace headgate {
namespace {

/// The finalizer of MurmurHash3: each bit of the result depends on each bit of `value`.
std::uint64_t scatter(std::uint64_t value) {
  value = (value ^ (value >> 33U)) * 0xff51afd7ed558ccdU;
  value = (value ^ (value >> 33U)) * 0xc4ceb9fe1a85ec53U;
  return value ^ (value >> 33U);
}

}  // namespace

CanarySources::CanarySources(std::uint64_t secret) : secret_(secret), buckets_(kBuckets) {}

CanarySources::Source* CanarySources::place_for(SourceNetwork source) {
  Bucket& bucket = buckets_[scatter(source ^ secret_) % kBuckets];
  const auto same = [&](const Source& one) { return one.used && one.network == source; };
  if (auto* const found = std::ranges::find_if(bucket, same); found != bucket.end()) return found;
  auto* place = std::ranges::find(bucket, false, &Source::used);
  if (place == bucket.end()) place = std::ranges::find(bucket, false, &Source::known_good);
  if (place == bucket.end()) return nullptr;
  *place = {.network = source, .used = true};
  return place;
}

void CanarySources::add(SourceNetwork source, CanaryArm arm, CanaryEnding ending) {
  const std::lock_guard lock(mutex_);
  Source* one = place_for(source);
  if (one == nullptr) return;
  Vote& vote = arm == CanaryArm::kNew ? one->with_new : one->with_old;
  if (vote == Vote::kNone) vote = ending == CanaryEnding::kOk ? Vote::kOk : Vote::kFailed;
  one->known_good = one->known_good || ending == CanaryEnding::kOk;
}

CanarySources::Counts CanarySources::counts() const {
  Counts counts;
  const auto count = [](Vote vote, GroupCounts& group) {
    if (vote == Vote::kOk) ++group.ok;
    if (vote == Vote::kFailed) ++group.failed;
  };
  const std::lock_guard lock(mutex_);
  for (const Bucket& bucket : buckets_) {
    for (const Source& one : bucket) {
      if (!one.known_good) continue;
      count(one.with_new, counts.with_new);
      count(one.with_old, counts.with_old);
    }
  }
  return counts;
}

}  // namespace headgate
