#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backend/group.h"
#include "backend/place_queue.h"
#include "connection/services.h"
#include "event/loop.h"
#include "log/log.h"
#include "metrics/worker_metrics.h"
#include "net/transport.h"
#include "snapshot/worker_snapshot.h"
#include "worker/spare.h"

namespace headgate {

/// The spare connections of one worker to the servers of one backend, `preconnect` of them in all.
///
/// A spare is a TCP connection, or one to a unix socket, on which nothing has been said: the PROXY header and
/// TLS name the client, so they begin when a client has got it. It ends when the server ends it or says
/// something, when the server goes down, is ejected or loses the address, when it is old, and when a client
/// needs its place. One that ends without having served is replaced after a pause, which grows while spares
/// are refused or end soon. A server that speaks first gets no more of them. Loop thread only.
class SparePool {
 public:
  /// A spare that is older is replaced: many servers end a connection on which nothing was said for a minute,
  /// and a client that gets it just then would be lost.
  static constexpr Duration kOldest = std::chrono::seconds(50);
  /// After the first bytes of a server. If it ends within that time, it has refused the connection with a
  /// word; else it has greeted.
  static constexpr Duration kGreetingPatience = std::chrono::seconds(1);
  /// Before a spare that ended unused is replaced. It doubles with each one that failed or lived for less
  /// than kWorthwhile, up to kLongestPause.
  static constexpr Duration kFirstPause = std::chrono::seconds(1);
  static constexpr Duration kLongestPause = std::chrono::seconds(30);
  static constexpr Duration kWorthwhile = std::chrono::seconds(5);
  /// After a client needed places, servers with max_connections get no spares.
  static constexpr Duration kPlacesWantedPause = std::chrono::seconds(5);
  /// Of the descriptors of the process, those that spares may fill up. The others are for what cannot wait:
  /// clients, health checks, the files of a reload.
  static constexpr int kDescriptorsPercent = 75;

  /// What a pool borrows from its worker, which outlives it.
  struct Parts {
    Loop& loop;
    Transport& transport;
    Host& host;
    Log& log;
    std::function<void()> wants_upkeep;     ///< Asks for an upkeep() soon.
    std::function<void()> few_descriptors;  ///< Says that no spare can be made for a while.
  };

  /// `asked` is called on any thread when places of spares are needed; its work is give_places_back(). The
  /// snapshot of `backend` outlives the pool, or move_to() names another one. `generation` is that
  /// snapshot's.
  SparePool(Parts parts, const BackendState& backend, std::uint64_t generation, PlaceQueue::Wake asked);
  ~SparePool();
  SparePool(const SparePool&) = delete;
  SparePool& operator=(const SparePool&) = delete;

  /// Goes on with the same backend of another snapshot.
  void move_to(const BackendState& backend, PlaceQueue::Wake asked);
  [[nodiscard]] const BackendState& backend() const { return *backend_; }
  [[nodiscard]] const config::Backend& config() const { return backend_->picker->group().config; }

  /// See Spares::take().
  [[nodiscard]] std::unique_ptr<Stream> take(const Choice& choice);
  /// A connection of an earlier snapshot may have got the place of a spare at that server: ends the spare
  /// that has none.
  void place_taken(const ServerState& server);
  /// Ends the spares that are unfit, and makes those that are missing, `budget` of them at most, which it
  /// lowers. Returns when to look again.
  [[nodiscard]] TimePoint upkeep(TimePoint now, int& budget);
  /// Looks what has become of a spare, and ends it if it is over. Returns whether a client can have it.
  bool look_at(Spare& spare);
  /// Ends all. Returns whether there were any.
  bool discard_all(SpareEnd why);
  /// Ends the spares that have places.
  void give_places_back();

 private:
  struct OfServer {
    std::vector<std::unique_ptr<Spare>> spares;  // the oldest first
    Duration pause{};
    TimePoint paused_until{};
    bool was_away = false;
    bool stopped = false;  // it speaks first
  };

  [[nodiscard]] GroupPicker& picker() const { return *backend_->picker; }
  [[nodiscard]] bool is_bounded(std::size_t index) const;
  void check(std::size_t index, TimePoint now);
  [[nodiscard]] std::optional<SpareEnd> why_unfit(const Spare& spare, TimePoint now) const;
  void fill(TimePoint now, int& budget);
  [[nodiscard]] bool make(const SpareChoice& choice, TimePoint now);
  void count_discarded(std::size_t index, SpareEnd why);
  [[nodiscard]] bool may_grow(std::size_t index, TimePoint now) const;
  void connect_failed(std::size_t index, const Address& address, TimePoint now);
  void pause(std::size_t index, Duration lived, TimePoint now);
  void stop(std::size_t index);
  void discard(const Spare& spare, SpareEnd why);
  void settle(std::size_t index);
  void publish(std::size_t index);
  [[nodiscard]] TimePoint next_look(TimePoint now) const;

  Parts parts_;
  const BackendState* backend_;
  const std::uint64_t generation_;
  std::vector<OfServer> servers_;   // as the group's
  std::vector<SpareCount> counts_;  // scratch of fill()
  TimePoint places_wanted_until_{};
  std::minstd_rand random_;
  std::unique_ptr<PlaceQueue::SpareHolder> holder_;  // dies first: it may be asked until then
};

}  // namespace headgate
