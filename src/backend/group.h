#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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

namespace headgate {

/// A backend as a snapshot has it. Immutable and shared by all workers; what changes while choosing is in
/// each worker's GroupPicker.
struct BackendGroup {
  config::Backend config;
  std::vector<Server> servers;  ///< In the order of the configuration.

  /// Errors: kInvalid for an address that cannot be parsed.
  [[nodiscard]] static Result<std::shared_ptr<const BackendGroup>> build(const config::Backend& config,
                                                                         ServerDirectory& directory);
};

/// What one worker knows of one server: its own connections and its own experience. Kept across reloads.
struct ServerTally {
  explicit ServerTally(std::shared_ptr<ServerState> the_state) : state(std::move(the_state)) {}

  /// An address that could not be connected to, and until when others are preferred.
  struct Avoided {
    Address address;
    TimePoint until;
  };

  std::shared_ptr<ServerState> state;
  std::uint32_t active = 0;  ///< Leases of this worker.
  int failures_in_row = 0;
  TimePoint ejected_until{};
  std::int64_t credit = 0;       ///< Smooth weighted round robin.
  std::size_t next_address = 0;  ///< Where the turn among the server's addresses stands.
  std::vector<Avoided> avoided;
};

/// A connection's place at a server: counts as one of its connections until it is destroyed. Moved, not
/// copied. Lives as long as it likes, through reloads and longer than its picker. Worker thread.
class ServerLease {
 public:
  enum class Place : std::uint8_t { kNotCounted, kTaken };

  ServerLease() = default;
  ServerLease(std::shared_ptr<ServerTally> tally, Place place) : tally_(std::move(tally)), place_(place) {
    ++tally_->active;
  }
  ServerLease(ServerLease&& other) noexcept = default;
  ServerLease& operator=(ServerLease&& other) noexcept {
    if (this != &other) {
      release();
      tally_ = std::move(other.tally_);
      place_ = other.place_;
    }
    return *this;
  }
  ServerLease(const ServerLease&) = delete;
  ServerLease& operator=(const ServerLease&) = delete;
  ~ServerLease() { release(); }

  explicit operator bool() const { return tally_ != nullptr; }
  /// Not on an empty lease.
  [[nodiscard]] const ServerState& server() const { return *tally_->state; }

 private:
  friend class GroupPicker;
  void release();

  std::shared_ptr<ServerTally> tally_;
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
  kAllDown,     ///< The health checks have every server down.
  kUnresolved,  ///< No server's name has an address yet.
  kAllFull,     ///< Every server that could be tried has max_connections.
  kAllTried,    ///< This connection has tried them all.
};
/// "all_down", "unresolved", "all_full", "all_tried".
[[nodiscard]] std::string_view name(NoServer why);

/// Chooses servers of one group for one worker's connections. Shares nothing that is written with other
/// workers, but the count behind `max_connections`. Worker thread; no allocation while the servers are well.
///
/// Usable is a server that is up, has an address and a free place. Ejected servers are passed over while
/// another server is usable; when all are ejected they are tried all the same. Servers that this connection
/// has not tried come first, then other addresses of those it has.
///
///   auto choice = picker.pick(source, tried, now);
///   if (!choice) return Close{kNoBackend};              // name(choice.error()) for the log
///   ... connect to choice->address ...
///   picker.on_connected(choice->lease, choice->address);  // keep the lease while the connection lives
///   picker.on_failed(choice->lease, choice->address, now);  // then drop the lease, add to `tried`, pick
///   again
class GroupPicker {
 public:
  /// `previous` is the picker of the same backend in the snapshot before, or null: its tallies of servers
  /// that are still there are taken over. `seed` starts the random choices.
  GroupPicker(std::shared_ptr<const BackendGroup> group, const GroupPicker* previous, std::uint64_t seed);
  GroupPicker(const GroupPicker&) = delete;
  GroupPicker& operator=(const GroupPicker&) = delete;

  [[nodiscard]] tl::expected<Choice, NoServer> pick(const Address& source, std::span<const Tried> tried,
                                                    TimePoint now);

  /// The connection, TLS to the server included, is there: failures before it are forgiven.
  void on_connected(const ServerLease& lease, const Address& address);
  /// It could not be had. Ejects the server when this was one failure too many in a row.
  void on_failed(const ServerLease& lease, const Address& address, TimePoint now);

  /// A lease for a connection that exists already, taken over from the process before. An empty lease when
  /// the group has no server of that label.
  [[nodiscard]] ServerLease adopt(std::string_view label);

  [[nodiscard]] const BackendGroup& group() const { return *group_; }
  /// What this worker knows of the server at `index`, for status pages and tests.
  [[nodiscard]] const ServerTally& tally(std::size_t index) const { return *tallies_[index]; }

 private:
  std::shared_ptr<const BackendGroup> group_;
  std::vector<std::shared_ptr<ServerTally>> tallies_;  // as group_->servers
  std::vector<std::size_t> candidates_;                // scratch of pick(), kept to save its allocation
  std::minstd_rand random_;
};

}  // namespace headgate
