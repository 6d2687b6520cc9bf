#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace headgate::lives {

/// The source of every choice in a life: a seed, or the bytes of a fuzzer. The same source makes the same
/// life.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : state_(seed) {}
  explicit Chance(std::span<const std::uint8_t> bytes) : bytes_(bytes), fuzzed_(true) {}

  /// A number below `bound`; 0 when the fuzzer's bytes are used up.
  [[nodiscard]] std::uint32_t below(std::uint32_t bound) {
    if (bound <= 1) return 0;
    return fuzzed_ ? from_bytes(bound) : static_cast<std::uint32_t>(next() >> 32U) % bound;
  }
  [[nodiscard]] bool once_in(std::uint32_t times) { return below(times) == times - 1; }
  template <class Value>
  [[nodiscard]] Value one_of(std::initializer_list<Value> values) {
    return values.begin()[below(static_cast<std::uint32_t>(values.size()))];
  }
  /// A size from 1 to `most`, small ones as often as large ones.
  [[nodiscard]] std::uint32_t size(std::uint32_t most) {
    std::uint32_t bits = 0;
    while (bits < 31 && (1U << bits) < most) ++bits;
    return std::clamp(below(1U << below(bits + 1)) + 1, 1U, most);
  }
  [[nodiscard]] bool is_used_up() const { return fuzzed_ && bytes_.empty(); }

 private:
  // SplitMix64: a seed and its neighbour have nothing in common after one step.
  std::uint64_t next() {
    std::uint64_t mixed = state_ += 0x9E37'79B9'7F4A'7C15U;
    mixed = (mixed ^ (mixed >> 30U)) * 0xBF58'476D'1CE4'E5B9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D0'49BB'1331'11EBU;
    return mixed ^ (mixed >> 31U);
  }
  std::uint32_t from_bytes(std::uint32_t bound) {
    std::uint32_t value = 0;
    for (std::uint32_t rest = bound - 1; rest > 0 && !bytes_.empty(); rest >>= 8U) {
      value = value << 8U | bytes_.front();
      bytes_ = bytes_.subspan(1);
    }
    return value % bound;
  }

  std::uint64_t state_ = 0;
  std::span<const std::uint8_t> bytes_;
  bool fuzzed_ = false;
};

}  // namespace headgate::lives
