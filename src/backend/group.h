#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "backend/server.h"
#include "base/result.h"
#include "base/units.h"
#include "config/config.h"
#include "net/address.h"
#include "net/socket.h"

namespace headgate {

/// A backend as a snapshot has it. Immutable and shared by all workers. State that changes while servers are
/// chosen is in each worker's GroupPicker.
struct BackendGroup {
  config::Backend config;
  std::vector<Server> servers;  ///< In the order of the configuration.
  /// The end from which all connections of the backend are made, where it is the same for all.
  OwnEnd own_end;
  std::shared_ptr<PlaceQueue> queue;  ///< Of the connections that wait for a place at any server.

  /// Errors: kInvalid for an address that cannot be parsed.
  [[nodiscard]] static Result<std::shared_ptr<const BackendGroup>> build(const config::Backend& config,
                                                                         ServerDirectory& directory);
};

/// A worker's spare connections to one server, as its picker sees them.
struct SparesOfServer {
  /// The addresses of those that a client can take, one for each; the next one to take is the last.
  std::vector<Address> ready;
  std::uint32_t places = 0;  ///< The places of max_connections that spares of this worker have.
};

/// What one worker knows of one server: its own connections, and which of its attempts failed. Kept across
/// reloads.
struct ServerCounters {
  /// An address to which connecting failed, and until when other addresses are preferred.
  struct Avoided {
    Address address;
    TimePoint until;
  };

  explicit ServerCounters(std::shared_ptr<ServerState> the_state)
      : state(std::move(the_state)), addresses(state->addresses()) {}

  /// The server's addresses as they are now; takes the server's lock only when they have changed.
  [[nodiscard]] const ServerState::Addresses& current_addresses();

  std::shared_ptr<ServerState> state;
  std::shared_ptr<const ServerState::Addresses> addresses;
  std::uint64_t addresses_version = 0;
  std::uint32_t active = 0;  ///< Leases of this worker.
  int failures_in_row = 0;
  TimePoint ejected_until{};
  TimePoint back_since = TimePoint::min();    ///< The end of its last ejection, which may be to come.
  std::int64_t credit = 0;                    ///< Smooth weighted round robin.
  std::vector<std::int64_t> address_credits;  ///< As `credit`, for each of several addresses.
  std::vector<Avoided> avoided;               ///< Used by servers with several addresses.
  SparesOfServer spares;
};

/// A connection's place at a server: counts as one of its connections until it is destroyed. Moved, not
/// copied. It may outlive reloads and its picker. Worker thread.
class ServerLease {
 public:
  enum class Place : std::uint8_t { kNotCounted, kTaken };

  ServerLease() = default;
  /// `place` says whether a place of max_connections was taken for it.
  ServerLease(std::shared_ptr<ServerCounters> counters, Place place)
      : counters_(std::move(counters)), place_(place) {
    ++counters_->active;
  }
  ServerLease(ServerLease&& other) noexcept = default;
  ServerLease& operator=(ServerLease&& other) noexcept {
    if (this != &other) {
      release();
      counters_ = std::move(other.counters_);
      place_ = other.place_;
    }
    return *this;
  }
  ServerLease(const ServerLease&) = delete;
  ServerLease& operator=(const ServerLease&) = delete;
  ~ServerLease() { release(); }

  explicit operator bool() const { return counters_ != nullptr; }
  /// Not on an empty lease.
  [[nodiscard]] const ServerState& server() const { return *counters_->state; }

 private:
  friend class GroupPicker;
  void release();

  std::shared_ptr<ServerCounters> counters_;
  Place place_ = Place::kNotCounted;
};

/// Where to connect to next. `index` and `address` together say what was tried.
struct Choice {
  std::size_t index = 0;  ///< Of the server in BackendGroup::servers.
  Address address;
  ServerLease lease;
};

/// A server and address that this connection has been refused by already.
struct Tried {
  std::size_t index = 0;
  Address address;
};

/// Why no server may be tried (any more): for the log line.
enum class NoServer : std::uint8_t {
  kAllDown,     ///< The health checks report every server down.
  kUnresolved,  ///< No server's name has an address yet.
  kAllFull,     ///< Every server that could be tried has max_connections.
  kAllTried,    ///< This connection has tried them all.
};
/// "all_down", "unresolved", "all_full", "all_tried".
[[nodiscard]] std::string_view name(NoServer why);

/// A worker's spare connections to one server, those that are not connected yet among them, and whether there
/// may be another one now.
struct SpareCount {
  std::uint32_t held = 0;
  bool may_grow = true;
};

/// The end of a spare connection that is to be made.
struct SpareChoice {
  std::size_t index = 0;  ///< Of the server in BackendGroup::servers.
  Address address;
};

/// The effect of a failure to connect.
enum class FailureOutcome : std::uint8_t { kCounted, kEjected };

/// Chooses servers of one group for one worker's connections. The only data that it writes and shares with
/// other workers is the count for `max_connections`. Worker thread; no allocation while the servers are well.
///
/// Spare connections change no choice of a server: they are made to the servers that the next clients will
/// get, as far as that is known. A client gets an address of its server to which there is a spare, and at a
/// server with max_connections the place of a spare.
///
/// A server is usable when it is up, has an address and a free place. An ejected one is chosen only when all
/// usable ones are ejected, and where there is a queue, when no full one is well. Servers that this
/// connection has not tried come first, then other addresses of those that it has. A server that was down or
/// ejected gets a growing part of its weight while its slow start lasts (slow_start.h).
///
///   auto choice = picker.pick(source, tried, now);
///   if (!choice) return Close{kNoBackend};              // name(choice.error()) for the log
///   ... connect to choice->address ...
///   picker.on_connected(choice->lease, choice->address, now);  // keep the lease while the connection lives
///   picker.on_failed(choice->lease, choice->address, now);     // then drop the lease, add to `tried`, pick
///                                                              // again
class GroupPicker {
 public:
  /// `previous` is the picker of the same backend in the snapshot before, or null: its counters of servers
  /// that are still there are kept. `seed` starts the random choices.
  GroupPicker(std::shared_ptr<const BackendGroup> group, const GroupPicker* previous, std::uint64_t seed);
  GroupPicker(const GroupPicker&) = delete;
  GroupPicker& operator=(const GroupPicker&) = delete;

  [[nodiscard]] tl::expected<Choice, NoServer> pick(const Address& source, std::span<const Tried> tried,
                                                    TimePoint now);

  /// The connection is established, TLS to the server included: earlier failures no longer count.
  void on_connected(const ServerLease& lease, const Address& address, TimePoint now);
  /// The connection failed: it was refused, timed out, or TLS failed. Returns whether the server is ejected
  /// for it: after as many failures in a row as the configuration says, and then for every further failure
  /// until a connection succeeds.
  FailureOutcome on_failed(const ServerLease& lease, const Address& address, TimePoint now);
  /// The address of `choice` refused the connection. Gives the choice an address of the other family, IPv4 or
  /// IPv6, where this connection has tried none of that family at the server, and avoids the one that
  /// refused. False: there is none, and nothing has changed.
  [[nodiscard]] bool turn_to_other_family(Choice& choice, std::span<const Tried> tried, TimePoint now);

  /// A lease for a connection that exists already, taken over from the process before. An empty lease when
  /// the group has no server of that label.
  [[nodiscard]] ServerLease adopt(std::string_view label);

  /// A lease of the server at `index` for a short request, which takes no place of max_connections.
  [[nodiscard]] ServerLease lease_beside(std::size_t index) const {
    return {counters_[index], ServerLease::Place::kNotCounted};
  }

  /// The server and the address of the next spare connection of `wanted` in all; `held` is as the group's
  /// servers. A server that is down, ejected by this worker, without an address, full or of weight 0 gets
  /// none. Nothing: there is no such server, or there are enough spares.
  [[nodiscard]] std::optional<SpareChoice> choose_for_spare(std::span<const SpareCount> held,
                                                            std::uint32_t wanted, TimePoint now);
  /// Whether the server at `index` may have spares at all: it is not down, ejected or of weight 0.
  [[nodiscard]] bool may_have_spares(std::size_t index, TimePoint now) const;
  /// A spare could not be connected with that address: other addresses of the server are preferred for
  /// `ejection.for`. It is no failure of the server. Returns whether there is one that is not avoided.
  [[nodiscard]] bool avoid_address(std::size_t index, const Address& address, TimePoint now);
  /// Whether that is one of the addresses of the server at `index` now.
  [[nodiscard]] bool has_address(std::size_t index, const Address& address);
  /// Takes the place of a spare connection at a server. False: it has none left; true also where none is
  /// needed.
  [[nodiscard]] bool take_place_for_spare(std::size_t index);
  /// Gives the places of spares back, but for those of `held` spares.
  void keep_places_of_spares(std::size_t index, std::size_t held);
  /// The places that spares of all workers have at the group's servers.
  [[nodiscard]] std::uint32_t places_of_spares() const;
  /// The places that a connection which has tried `tried` may get soon: those of spares of all workers, and
  /// the free ones.
  [[nodiscard]] std::size_t places_to_come(std::span<const Tried> tried, TimePoint now);
  /// The worker's spares to the server at `index`.
  [[nodiscard]] SparesOfServer& spares(std::size_t index) { return counters_[index]->spares; }

  [[nodiscard]] const BackendGroup& group() const { return *group_; }
  /// What this worker knows of the server at `index`, for status pages and tests.
  [[nodiscard]] const ServerCounters& counters(std::size_t index) const { return *counters_[index]; }

 private:
  /// The candidates of one pick: the servers with the best rank.
  struct Shortlist;

  [[nodiscard]] Shortlist shortlist(std::span<const Tried> tried, TimePoint now);
  [[nodiscard]] std::size_t choose(const Address& source);
  [[nodiscard]] std::size_t choose_by_turn();
  [[nodiscard]] std::size_t choose_least_loaded();
  [[nodiscard]] std::size_t choose_of_two();
  [[nodiscard]] std::size_t choose_by_source(std::uint64_t source_hash) const;
  [[nodiscard]] std::size_t random_by_weight();
  [[nodiscard]] bool less_loaded(std::size_t a, std::size_t b) const;
  [[nodiscard]] bool is_full(std::size_t index) const;
  [[nodiscard]] bool take_place(std::size_t index);
  [[nodiscard]] std::size_t least_used(std::span<const std::uint32_t> planned) const;
  [[nodiscard]] std::size_t next_by_turn(std::span<std::int64_t> credits) const;
  [[nodiscard]] std::span<std::int64_t> read_credits();
  [[nodiscard]] Address choose_address(std::size_t index, const Address& source, std::span<const Tried> tried,
                                       TimePoint now);
  [[nodiscard]] std::int64_t weight_of_eligible(const ServerState::Addresses& addresses) const;
  [[nodiscard]] const Address& next_address(std::size_t index);
  void avoid(ServerCounters& counters, const Address& address, TimePoint now);
  void find_eligible_addresses(std::size_t index, std::span<const Tried> tried, TimePoint now);
  void weigh(std::size_t index, TimePoint now);
  [[nodiscard]] std::int64_t weight(std::size_t index) const { return weights_[index]; }

  std::shared_ptr<const BackendGroup> group_;
  std::vector<std::shared_ptr<ServerCounters>> counters_;  // as group_->servers
  std::vector<std::uint64_t> label_hashes_;                // as group_->servers
  std::vector<std::int64_t> weights_;                      // as group_->servers, in parts of kWholeShare
  std::vector<std::size_t> candidates_;                    // scratch of pick(), kept to save its allocation
  std::vector<std::int64_t> credits_;                      // of choose_by_turn(), likewise
  std::vector<std::size_t> eligible_addresses_;            // of choose_address(), likewise
  std::minstd_rand random_;
};

}  // namespace headgate
