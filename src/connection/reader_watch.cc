#include "connection/reader_watch.h"

#include <algorithm>

#include "net/socket.h"

namespace headgate {
namespace {

/// The bytes that a client has taken and the bytes that wait for it, on one scale: the wire's where the
/// kernel tells, in steps of so many. A unix socket's bytes are with the client when the kernel has them.
struct Progress {
  std::int64_t taken_bytes = 0, left_bytes = 0, step_bytes = 0;
};

Progress progress(const Stream& client, std::uint64_t sent_bytes) {
  const auto unsent = static_cast<std::int64_t>(client.unsent_bytes());
  if (const auto tcp = delivery(client.descriptor()))
    return {static_cast<std::int64_t>(tcp->acknowledged_bytes),
            static_cast<std::int64_t>(tcp->unacknowledged_bytes) + unsent,
            static_cast<std::int64_t>(tcp->segment_bytes)};
  return {static_cast<std::int64_t>(sent_bytes) - unsent, unsent};
}

}  // namespace

std::int64_t ReaderWatch::look(const Stream& client, std::uint64_t sent_bytes, std::uint32_t bytes_per_second,
                               TimePoint now) {
  constexpr std::int64_t kSeconds = std::chrono::duration_cast<std::chrono::seconds>(kInterval).count();
  const Progress at = progress(client, sent_bytes);
  const std::int64_t seconds = std::max(kSeconds, 2 * at.step_bytes / bytes_per_second + 1);
  goal_bytes_ = at.taken_bytes + std::min(at.left_bytes, seconds * bytes_per_second - at.step_bytes);
  next_look_ = at.left_bytes > 0 ? now + std::chrono::seconds(seconds) : TimePoint::max();
  return at.taken_bytes;
}

bool ReaderWatch::is_missed(const Stream& client, std::uint64_t sent_bytes, std::uint32_t bytes_per_second,
                            TimePoint now) {
  const std::int64_t goal_bytes = goal_bytes_;
  return look(client, sent_bytes, bytes_per_second, now) < goal_bytes && next_look_ != TimePoint::max();
}

}  // namespace headgate
