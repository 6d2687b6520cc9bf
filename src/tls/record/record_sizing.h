#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace headgate {

/// How much goes into the next record: little while a burst begins, so that the peer can use its first bytes
/// before a whole 16 KiB have arrived (the first flight of a TCP connection carries 14 KiB), all that is
/// legal when there is bulk.
class RecordSizing {
 public:
  /// A clock of the caller's, in whatever steps it has: only a second's silence is looked for.
  using Milliseconds = std::chrono::duration<std::uint32_t, std::milli>;

  static constexpr std::size_t kSegmentRecordBytes = 1300;  ///< Fits one segment, tunnels included.
  static constexpr std::size_t kSegmentRecordsUntilBytes = 4 * 1024;
  static constexpr std::size_t kMediumRecordBytes = 4 * 1024;
  static constexpr std::size_t kMediumRecordsUntilBytes = 32 * 1024;
  static constexpr Milliseconds kSilence{1000};

  /// A write begins: after kSilence it is a new burst. `now` may wrap around.
  void begin_write(Milliseconds now);
  /// The most content that the next record should have.
  [[nodiscard]] std::size_t next_record_bytes() const;
  void sent(std::size_t content_bytes);

 private:
  Milliseconds last_write_{};
  std::uint32_t burst_bytes_ = 0;  // saturates at kMediumRecordsUntilBytes
};

}  // namespace headgate
