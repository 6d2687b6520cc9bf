#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <random>
#include <type_traits>

#include "base/mix.h"
#include "base/units.h"
#include "net/source_address.h"

namespace headgate {

/// Something that is remembered of a source for a while. The record of which every byte is 0 says nothing.
template <class Record>
concept SourceRecord = std::is_trivially_copyable_v<Record> && std::is_trivially_destructible_v<Record> &&
                       requires(const Record& record) {
                         { record.forgettable() } -> std::same_as<TimePoint>;
                       };

/// Remembers a record of each of the last kSources sources, in memory of a fixed size. Where more sources
/// come, it forgets first the sources whose records are the first to say nothing any more. So a flood from
/// everywhere costs no memory, and at worst it makes the table forget.
///
/// A source has its place by a hash with a secret, so no client can choose which other ones it makes the
/// table forget. Memory that no source has used is not resident. Any thread.
template <SourceRecord Record>
class SourceTable {
 public:
  static constexpr std::size_t kSources = 65'536;

  /// Throws std::bad_alloc.
  SourceTable() : sets_(static_cast<Set*>(std::calloc(kSets, sizeof(Set)))) {
    if (!sets_) throw std::bad_alloc();
    std::random_device random;
    secret_ = std::uint64_t{random()} << 32U | random();
  }

  /// Calls `use` with the record of `source`, and returns its answer. A source without one gets a new one.
  template <class Use>
  auto with(SourceNetwork source, Use use) {
    const std::size_t place = place_of(source);
    const std::lock_guard lock(locks_[place % kLocks].mutex);
    Set& set = sets_[place];
    auto cell = std::ranges::find(set, source, &Cell::source);
    if (cell == set.end()) {
      cell = std::ranges::min_element(set, {}, [](const Cell& one) { return one.record.forgettable(); });
      *cell = {.source = source, .record = {}};
    }
    return use(cell->record);
  }

  /// Calls `use` with the record of `source` if there is one.
  template <class Use>
  void with_known(SourceNetwork source, Use use) {
    const std::size_t place = place_of(source);
    const std::lock_guard lock(locks_[place % kLocks].mutex);
    Set& set = sets_[place];
    const auto cell = std::ranges::find(set, source, &Cell::source);
    if (cell != set.end()) use(cell->record);
  }

 private:
  struct Cell {
    SourceNetwork source;
    Record record;
  };
  static constexpr std::size_t kWays = 4, kSets = kSources / kWays, kLocks = 64;
  using Set = std::array<Cell, kWays>;
  struct Freed {
    void operator()(Set* sets) const { std::free(sets); }
  };
  struct alignas(64) Lock {
    std::mutex mutex;
  };

  [[nodiscard]] std::size_t place_of(SourceNetwork source) const {
    return static_cast<std::size_t>(mix(source ^ secret_) % kSets);
  }

  std::array<Lock, kLocks> locks_;
  std::unique_ptr<Set[], Freed> sets_;  // calloc() leaves pages to the kernel until they are used
  std::uint64_t secret_ = 0;
};

}  // namespace headgate
