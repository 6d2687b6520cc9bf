#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "config/config.h"
#include "net/address.h"

namespace headgate {

/// Where a server is, as the configuration gives it: an address, or a host name whose addresses the resolver
/// finds.
struct ServerEndpoint {
  std::optional<Address> literal;  ///< Set when no name has to be resolved.
  std::string host;                ///< Set otherwise.
  std::uint16_t port = 0;          ///< Of the host name.

  /// Parses "192.0.2.1:80", "[::1]:80", "unix:PATH" or "host.name:80". Errors: kInvalid; the text says what
  /// to write instead.
  [[nodiscard]] static Result<ServerEndpoint> parse(std::string_view text);
};

/// The state of one server. It outlives the configuration: a reload that keeps the names of the backend and
/// of its server keeps this object. Written by the supervisor's threads (resolver, health checks), read by
/// all workers.
class ServerState {
 public:
  using Addresses = std::vector<Address>;

  ServerState(std::string backend, std::string label, ServerEndpoint endpoint);
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
  [[nodiscard]] bool is_up() const { return up_.load(std::memory_order_relaxed); }
  /// The same with its reason. Any thread; one short lock.
  [[nodiscard]] Condition condition() const;
  void set_condition(Condition condition);

  /// Connections of all workers to a server with max_connections. Takes one of `most` places; false if all
  /// are taken.
  [[nodiscard]] bool take_place(std::uint32_t most);
  void give_place_back() { places_taken_.fetch_sub(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t places_taken() const { return places_taken_.load(std::memory_order_relaxed); }

 private:
  const std::string backend_;
  const std::string label_;
  const ServerEndpoint endpoint_;
  std::atomic<bool> up_{true};
  std::atomic<std::uint32_t> places_taken_{0};
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

  /// Every server in use.
  [[nodiscard]] std::vector<std::shared_ptr<ServerState>> all() const;

  /// The host names of the servers in use, each once, sorted.
  [[nodiscard]] std::vector<std::string> host_names() const;
  /// Publishes `addresses`, with each server's own port, to the servers with the name `host`.
  void publish(const std::string& host, const std::vector<Address>& addresses);

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::weak_ptr<ServerState>> states_;
};

}  // namespace headgate
