#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace headgate {

/// Decides how much goes into the next record: little at the beginning of a burst, so that the peer can use
/// the first bytes before a whole 16 KiB have arrived (the first flight of a TCP connection carries 14 KiB),
/// and the legal maximum in bulk.
class RecordSizing {
 public:
  /// The caller's clock. Its steps may be coarse, because only a second of silence matters.
  using Milliseconds = std::chrono::duration<std::uint32_t, std::milli>;

  static constexpr std::size_t kSegmentRecordBytes = 1300;  ///< Fits one segment, tunnels included.
  static constexpr std::size_t kSegmentRecordsUntilBytes = 4 * 1024;
  static constexpr std::size_t kMediumRecordBytes = 4 * 1024;
  static constexpr std::size_t kMediumRecordsUntilBytes = 32 * 1024;
  static constexpr Milliseconds kSilence{1000};

  /// Call it when a write begins. After kSilence a new burst begins. `now` may wrap around.
  void begin_write(Milliseconds now);
  /// The most content that the next record should have.
  [[nodiscard]] std::size_t next_record_bytes() const;
  void sent(std::size_t content_bytes);

 private:
  Milliseconds last_write_{};
  std::uint32_t burst_bytes_ = 0;  // saturates at kMediumRecordsUntilBytes
};

}  // namespace headgate
