#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "net/address.h"
#include "net/fd.h"
#include "net/socket.h"
#include "supervisor/systemd.h"
#include "worker/worker.h"

namespace headgate {

/// Which listening sockets there are, and which a new configuration needs besides.
///
/// Every worker has a socket of its own on every TCP address (SO_REUSEPORT), so the kernel spreads
/// connections and no worker waits for another; a unix socket, and one that systemd made, is one queue that
/// all workers accept from. Where there are fewer workers than before, they share the sockets out among them,
/// because what waits in a socket that is closed would be reset. The sockets themselves belong to the
/// workers; this keeps the account, and one duplicate of each, so that a socket outlives the worker that used
/// it and can be handed to the next process. Supervisor only.
class ListeningSockets {
 public:
  /// A bind of a listener, as configured.
  using Key = std::pair<std::string, std::string>;  // listener name, address text

  /// `activated` are sockets that systemd or the process before made: a bind with the same address uses them
  /// first.
  explicit ListeningSockets(std::vector<systemd::ActivatedSocket> activated)
      : activated_(std::move(activated)) {}

  /// The sockets that `config` needs. What is opened here is accounted for only by commit(). Errors: kSystem,
  /// with the address; nothing has changed then.
  struct Plan {
    std::map<Key, std::vector<Fd>> opened;  ///< By place; empty where there is a socket already.
    std::vector<Key> closed;                ///< Binds that `config` no longer has.
    std::map<Key, ListenOptions> options;   ///< What `config` says of each bind.
  };
  [[nodiscard]] Result<Plan> plan(const config::Config& config, std::size_t workers);
  /// What workers have to do, by position: first to close their sockets of some binds, then to listen on
  /// these.
  struct Changes {
    std::vector<Key> close;
    std::vector<std::vector<BoundSocket>> listen;
  };
  /// Accounts for the plan.
  [[nodiscard]] Changes commit(Plan plan, std::size_t workers);
  /// Gives every socket the options of the plan that was committed last. A socket may carry those of an older
  /// configuration, of systemd's or of the process before. Call it once this process decides about the
  /// sockets: until then they follow the process that serves.
  void apply_options() const;

  /// The addresses a listener is bound to, real ports included.
  [[nodiscard]] std::vector<Address> addresses(const std::string& listener) const;
  /// All of each bind, for handing over: duplicates.
  struct Held {
    std::string listener;
    std::string bind;  ///< As configured.
    Fd descriptor;
  };
  [[nodiscard]] std::vector<Held> held() const;
  /// Closes a listener's: connections that wait in the kernel are reset, unless another process has the
  /// sockets too.
  void close(const std::string& listener);

 private:
  [[nodiscard]] Result<Fd> open(const Address& bind, const Address& address,
                                const config::Listener& listener);
  [[nodiscard]] Result<std::vector<Fd>> open_missing(const Address& bind, const config::Listener& listener,
                                                     std::size_t workers);
  [[nodiscard]] Fd take_activated(const Address& bind, const std::string& listener);
  [[nodiscard]] Fd take_inherited(const Address& bind, const std::string& listener);

  std::vector<systemd::ActivatedSocket> activated_;
  std::map<Key, std::vector<Fd>> sockets_;  // the one at place p is worker p's, modulo their number
  std::map<Key, ListenOptions> options_;
  std::size_t workers_ = 0;
};

}  // namespace headgate
