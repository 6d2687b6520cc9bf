#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/place_queue.h"
#include "base/result.h"
#include "base/units.h"
#include "config/config.h"
#include "net/resolved_address.h"

namespace headgate {

/// Where a server is, as the configuration gives it: an address, or the name of a host or a service whose
/// addresses the resolver finds.
struct ServerEndpoint {
  /// Set when no name has to be resolved. An empty address: the one that the client asked for.
  std::optional<Address> literal;
  std::string host;        ///< Set for a host.
  std::uint16_t port = 0;  ///< Of the host.
  std::string service;     ///< Set for a service, whose ports the resolver finds.

  /// Parses "192.0.2.1:80", "[::1]:80", "unix:PATH", "host.name:80", "srv:_pg._tcp.host.name" or "original".
  /// Errors: kInvalid; the text says what to write instead.
  [[nodiscard]] static Result<ServerEndpoint> parse(std::string_view text);
  /// The name that the resolver follows; empty: none.
  [[nodiscard]] std::string name_to_resolve() const;
  /// The name by which the server's certificate is verified where `server_name` gives none: the host name or
  /// the IP address. Empty for a unix socket and for a service.
  [[nodiscard]] std::string name() const;
  /// Whether it is the address that the client asked for.
  [[nodiscard]] bool is_original() const { return literal && literal->family() == AF_UNSPEC; }
};

/// The state of one server. It outlives the configuration: a reload that keeps the names of the backend and
/// of its server keeps this object. Written by the supervisor's threads (resolver, health checks), read by
/// all workers.
class ServerState {
 public:
  using Addresses = std::vector<ResolvedAddress>;

  /// `queue` is that of its backend.
  ServerState(std::string backend, std::string label, ServerEndpoint endpoint,
              std::shared_ptr<PlaceQueue> queue);
  ServerState(const ServerState&) = delete;
  ServerState& operator=(const ServerState&) = delete;

  /// The backend's name and the server's address as written: the labels of metrics and logs. Any thread.
  [[nodiscard]] const std::string& backend() const { return backend_; }
  [[nodiscard]] const std::string& label() const { return label_; }
  [[nodiscard]] const ServerEndpoint& endpoint() const { return endpoint_; }

  /// Where to connect to; empty while the name is not resolved yet. Never null. Any thread; one short lock.
  [[nodiscard]] std::shared_ptr<const Addresses> addresses() const;
  /// Changes when addresses() does, so that until then a reader can use its copy without the lock. Any
  /// thread.
  [[nodiscard]] std::uint64_t addresses_version() const { return version_.load(std::memory_order_acquire); }
  /// Replaces the addresses; the same addresses in another order change nothing. Does not touch connections.
  /// Any thread.
  void publish(Addresses addresses);

  /// The result of the active health checks, its reason, and since when it holds.
  struct Condition {
    bool up = true;
    std::string why{};  ///< Empty while it is up.
    WallTime since{};   ///< The process's start, or when the server was first configured, until it changes.
  };
  /// Up where there are no checks. Any thread.
  [[nodiscard]] bool is_up() const { return up_.load(std::memory_order_seq_cst); }
  /// The same with its reason. Any thread; one short lock.
  [[nodiscard]] Condition condition() const;
  void set_condition(Condition condition);

  /// Says that a worker passes the server over until then, because its connections to it failed. Any thread.
  void eject(TimePoint until);
  /// Says that a connection to it has succeeded. Any thread.
  void readmit();
  /// Whether a worker passes the server over, and since when; nothing where none does. Any thread.
  [[nodiscard]] std::optional<WallTime> ejected_since(TimePoint now) const;
  /// When the health checks last found it up again. TimePoint::min(): they have not found it down before, or
  /// there are none. Any thread.
  [[nodiscard]] TimePoint back_since() const {
    return TimePoint(Duration(back_since_.load(std::memory_order_relaxed)));
  }
  void set_back_since(TimePoint since) {
    back_since_.store(since.time_since_epoch().count(), std::memory_order_relaxed);
  }

  /// Connections of all workers to a server with max_connections. Takes one of `most` places; false if all
  /// are taken. A place that is given back may be taken by a connection that waits in the queue.
  [[nodiscard]] bool take_place(std::uint32_t most);
  void give_place_back();
  [[nodiscard]] std::uint32_t places_taken() const { return places_taken_.load(std::memory_order_seq_cst); }

  /// Counts the places that spare connections of all workers have, which are among those taken. Any thread.
  void add_place_of_spare() { places_of_spares_.fetch_add(1, std::memory_order_seq_cst); }
  void remove_place_of_spare() { places_of_spares_.fetch_sub(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t places_of_spares() const {
    return places_of_spares_.load(std::memory_order_seq_cst);
  }

  /// Remembers that the server spoke first to a spare connection, which was made by the configuration of
  /// that generation. Returns whether that is news: one worker has to log it. Any thread.
  bool found_to_speak_first(std::uint64_t generation);
  /// Whether a worker has found that with this configuration or with a later one. Any thread.
  [[nodiscard]] bool speaks_first(std::uint64_t generation) const {
    return speaks_first_since_.load(std::memory_order_relaxed) >= generation;
  }

 private:
  const std::string backend_;
  const std::string label_;
  const ServerEndpoint endpoint_;
  const std::shared_ptr<PlaceQueue> queue_;
  std::atomic<bool> up_{true};
  std::atomic<TimePoint> ejected_until_{TimePoint()};
  std::atomic<WallTime> ejected_since_{WallTime()};
  std::atomic<Duration::rep> back_since_{TimePoint::min().time_since_epoch().count()};
  std::atomic<std::uint32_t> places_taken_{0};
  std::atomic<std::uint32_t> places_of_spares_{0};
  std::atomic<std::uint64_t> speaks_first_since_{0};  // generations begin with 1
  std::atomic<std::uint64_t> version_{0};
  mutable std::mutex addresses_mutex_;
  std::shared_ptr<const Addresses> addresses_;
  mutable std::mutex condition_mutex_;
  Condition condition_{.since = std::chrono::system_clock::now()};
};

/// One server of a backend as a snapshot has it: the configuration in force, and the state that outlives it.
struct Server {
  config::Server config;
  std::shared_ptr<ServerState> state;
};

/// Finds the state of a server again when a reload builds the next snapshot. It does not own the states: one
/// that no snapshot and no connection uses any more is forgotten. Any thread.
class ServerDirectory {
 public:
  /// The state of `server` in `backend`, made if it is new. Errors: kInvalid for an address that cannot be
  /// parsed.
  [[nodiscard]] Result<std::shared_ptr<ServerState>> state(const std::string& backend,
                                                           const std::string& server);
  /// The queue for the servers of `backend`, made if it is new.
  [[nodiscard]] std::shared_ptr<PlaceQueue> queue(const std::string& backend);

  /// Every server in use.
  [[nodiscard]] std::vector<std::shared_ptr<ServerState>> all() const;

  /// The names of the servers in use that have to be resolved, each once, sorted.
  [[nodiscard]] std::vector<std::string> names_to_resolve() const;
  /// Publishes `addresses` to the servers of that name; where it is a host's, with each server's own port.
  void publish(const std::string& name, const ServerState::Addresses& addresses);

 private:
  [[nodiscard]] std::shared_ptr<PlaceQueue> queue_locked(const std::string& backend);

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::weak_ptr<ServerState>> states_;
  std::map<std::string, std::weak_ptr<PlaceQueue>> queues_;
  std::size_t states_until_forgetting_ = 0;
  std::size_t queues_until_forgetting_ = 0;
};

}  // namespace headgate
