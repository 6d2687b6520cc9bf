#pragma once

#include <cstdint>

namespace headgate {

/// Mixes every bit of `value` into every bit of the result, each value to another one: the finalizer of
/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). Pure; any thread.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t value) {
  value = (value ^ value >> 30U) * 0xbf58476d1ce4e5b9U;
  value = (value ^ value >> 27U) * 0x94d049bb133111ebU;
  return value ^ value >> 31U;
}

}  // namespace headgate
