#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace headgate {

struct BackendGroup;

/// The connections of all workers that wait for a place at a server of one backend, because every server is
/// at its `max_connections`. It outlives the configuration, as the servers do.
///
/// The connections that began with one configuration are a line: those of another one may see other bounds,
/// and do not wait for each other. Each time a place may be free, the first of each line is woken; it tries
/// to get a place, stays where it is if there is none, and leaves the line if it got one, which wakes the
/// next. So one event suffices for any number of free places. Any thread; the lock is held for a few
/// instructions.
class PlaceQueue {
 public:
  /// Makes the connection try again. Called on any thread, with the queue locked: it posts, and returns.
  using Wake = std::function<void()>;

  /// A connection's position in its line, which it leaves when destroyed. Neither copied nor moved.
  class Position {
   public:
    ~Position();
    Position(const Position&) = delete;
    Position& operator=(const Position&) = delete;

    /// Whether it is this connection's turn to try. If so it is not counted among those that wait: it leaves
    /// the line, or says that it stays.
    [[nodiscard]] bool may_try();
    /// There was no place for it.
    void stays();

   private:
    friend class PlaceQueue;
    Position(PlaceQueue& queue, const BackendGroup& line, Wake wake)
        : queue_(queue), line_(line), wake_(std::move(wake)) {}

    PlaceQueue& queue_;
    const BackendGroup& line_;
    const Wake wake_;
    std::optional<std::list<Position*>::iterator> at_;  // guarded by the queue's mutex; empty: not in line
    bool tries_ = false;                                // guarded by the queue's mutex
  };

  /// A worker with spare connections that have places, until it is destroyed. Neither copied nor moved.
  class SpareHolder {
   public:
    ~SpareHolder();
    SpareHolder(const SpareHolder&) = delete;
    SpareHolder& operator=(const SpareHolder&) = delete;

   private:
    friend class PlaceQueue;
    SpareHolder(PlaceQueue& queue, Wake asked) : queue_(queue), asked_(std::move(asked)) {}

    PlaceQueue& queue_;
    const Wake asked_;
  };

  PlaceQueue() = default;
  PlaceQueue(const PlaceQueue&) = delete;
  PlaceQueue& operator=(const PlaceQueue&) = delete;

  /// Joins the end of the line of the connections that began with `line`. Null: `most` wait in it already.
  /// The queue and `line` outlive the position. `wake` may be called until the position is destroyed. The
  /// caller looks for a place once more afterwards, since one may have become free just before.
  [[nodiscard]] std::unique_ptr<Position> join(const BackendGroup& line, std::size_t most, Wake wake);

  /// Whether connections wait in that line. It costs no lock while none waits at all.
  [[nodiscard]] bool has_waiting(const BackendGroup& line) const;

  /// Whether connections wait in any line. No lock.
  [[nodiscard]] bool has_any_waiting() const { return waiting_.load(std::memory_order_seq_cst) > 0; }

  /// A connection has ended, or a server has come back or has got an address: a place may be free.
  void place_may_be_free();

  /// Makes a holder of spare connections known. `asked` is called, as a Wake is, when connections wait that
  /// need the places of spares. The queue outlives the holder.
  [[nodiscard]] std::unique_ptr<SpareHolder> add_spare_holder(Wake asked);
  /// Asks every holder to give the places of its spares back.
  void ask_for_places_of_spares();

 private:
  using Line = std::list<Position*>;

  std::atomic<std::uint32_t> waiting_{0};
  mutable std::mutex mutex_;
  std::map<const BackendGroup*, Line> lines_;  // guarded by mutex_; no empty one
  std::vector<SpareHolder*> spare_holders_;    // guarded by mutex_
};

}  // namespace headgate
