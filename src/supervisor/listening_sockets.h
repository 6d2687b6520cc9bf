#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "log/log.h"
#include "net/address.h"
#include "net/fd.h"
#include "net/socket.h"
#include "supervisor/systemd.h"
#include "supervisor/worker_cpus.h"
#include "worker/worker.h"

namespace headgate {

/// Knows the listening sockets of the process, and plans those that a new configuration needs.
///
/// Every worker has a socket of its own on every TCP address (SO_REUSEPORT), so the kernel spreads
/// connections and no worker waits for another; a unix socket, and one that systemd made, is one queue that
/// all workers accept from. When the process has fewer workers than before, they share all sockets among
/// them, because the connections that wait in a closed socket would be reset. The sockets themselves belong
/// to the workers; this object keeps the account, and one duplicate of each, so that a socket outlives its
/// worker and can be handed to the next process. Supervisor only.
class ListeningSockets {
 public:
  /// A bind of a listener, as configured.
  using Key = std::pair<std::string, std::string>;  // listener name, address text

  /// `activated` are sockets that systemd or the process before made: a bind with the same address uses them
  /// first.
  explicit ListeningSockets(std::vector<systemd::ActivatedSocket> activated);

  /// Plans the sockets that `config` needs. Only commit() accounts for the sockets that are opened here.
  /// A port that another process listens on is refused, although the kernel would share it (SO_REUSEPORT): a
  /// second process would get a share of the connections, by another configuration. Errors: kSystem, with the
  /// address, also where no descriptor is left; as of check_foreign_addresses(). The account has not changed
  /// then.
  struct Plan {
    std::map<Key, std::vector<Fd>> opened;  ///< By place; empty where the place has a socket already.
    /// Where an address stays and its listener has another name: by the new place, the one before.
    std::map<Key, Key> renamed;
    /// The sockets that the workers begin to listen on: by place and number, empty where nothing changes.
    std::map<Key, std::vector<Fd>> handed;
    /// Binds that `config` no longer has, and those whose sockets it replaces by new ones (`ipv6_only`).
    std::vector<Key> closed;
    std::map<Key, ListenOptions> options;  ///< The options of each bind in `config`.
  };
  [[nodiscard]] Result<Plan> plan(const config::Config& config, std::size_t workers);
  /// Gives the files of the unix sockets that are there already the mode and the owner that the plan has for
  /// them. Errors: kSystem; then every file is as it was.
  [[nodiscard]] Result<void> change_files(const Plan& plan) const;
  /// Returns the work of the workers, by position: first they close their sockets of some binds, then they
  /// listen on these.
  struct Changes {
    std::vector<Key> gone;  ///< Those of `close` whose sockets end with it; the others listen on.
    std::vector<Key> close;
    std::vector<std::vector<BoundSocket>> listen;
  };
  /// Accounts for the plan. `workers.incoming` counts for the TCP sockets of which each worker has one.
  [[nodiscard]] Changes commit(Plan plan, const WorkerPlan& workers);
  /// Gives every socket the options of the plan that was committed last. A socket may carry those of an older
  /// configuration, of systemd or of the process before. Call it once this process decides about the sockets:
  /// until then they follow the process that serves.
  void apply_options() const;
  /// The same, and for the files of unix sockets too. A line of `log` names each file that stays as it is.
  void apply_all(Log& log) const;

  /// The addresses a listener is bound to, real ports included.
  [[nodiscard]] std::vector<Address> addresses(const std::string& listener) const;
  /// Duplicates of all sockets of each bind, for the hand-over.
  struct Held {
    std::string listener;
    std::string bind;  ///< As configured.
    Fd descriptor;     ///< Empty where no descriptor was left for the duplicate.
  };
  [[nodiscard]] std::vector<Held> held() const;
  /// The sockets of admin.bind and admin.metrics_bind.
  struct AdminSockets {
    Held all{}, metrics{};
  };
  /// Those that systemd or the process before made; empty where there is none. `listener` is systemd's name,
  /// empty if Headgate made the socket. Call it once, after the first commit().
  [[nodiscard]] AdminSockets take_admin() { return std::exchange(admin_, {}); }
  /// Takes the sockets of a listener out of the account; its workers close theirs.
  void close(const std::string& listener);

 private:
  [[nodiscard]] Result<Fd> open(const config::Bind& bind, const Address& address, const std::string& listener,
                                const ListenOptions& options);
  [[nodiscard]] Result<std::vector<Fd>> open_missing(const config::Bind& bind, const std::string& listener,
                                                     const ListenOptions& options, std::size_t workers);
  [[nodiscard]] Result<void> plan_bind(Plan& plan, const config::Listener& listener, const config::Bind& bind,
                                       std::size_t workers);
  [[nodiscard]] std::optional<Key> find(const config::Bind& bind, const std::string& listener) const;
  [[nodiscard]] Fd take_activated(const config::Bind& bind, const std::string& listener);
  [[nodiscard]] Held take_activated_for_admin(const Address& bind);
  [[nodiscard]] Fd take_inherited(const config::Bind& bind, const std::string& listener);

  std::vector<systemd::ActivatedSocket> activated_;
  std::map<Key, std::vector<Fd>> sockets_;  // the socket at place p belongs to worker p, modulo their number
  std::map<Key, ListenOptions> options_;
  WorkerPlan workers_;
  AdminSockets admin_;
  // The TCP ports on which a socket of this process, or of the one before, may listen.
  std::set<std::uint16_t> ports_;
};

}  // namespace headgate
