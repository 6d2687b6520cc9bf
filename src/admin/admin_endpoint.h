#pragma once

#include <memory>
#include <optional>

#include "admin/admin_server.h"
#include "base/result.h"
#include "log/log.h"
#include "net/address.h"
#include "supervisor/listening_sockets.h"

namespace headgate {

/// One address of the admin endpoint through the life of a process: its server comes and goes with upgrades,
/// and its socket goes from process to process, so that no client finds it closed. Removes the file of a unix
/// socket at the end, unless systemd made that socket or another process serves it now.
///
/// One thread at a time: the main thread, or the upgrade's while one is under way.
class AdminEndpoint {
 public:
  /// `bind` is nothing where it is off. `source` and `log` outlive it.
  AdminEndpoint(std::optional<Address> bind, AdminSource& source, Log& log,
                AdminOffer offer = AdminOffer::kAll)
      : bind_(bind), offer_(offer), source_(source), log_(log) {}
  ~AdminEndpoint();
  AdminEndpoint(const AdminEndpoint&) = delete;
  AdminEndpoint& operator=(const AdminEndpoint&) = delete;

  /// Serves on `inherited`, or on a socket of its own where that is empty. Errors: those of AdminServer.
  [[nodiscard]] Result<void> open(ListeningSockets::Held inherited);
  /// Stops serving: clients wait in the socket for the process that has it. The socket's file stays.
  void close();
  /// A duplicate of the socket for another process; empty where the endpoint is off or closed.
  [[nodiscard]] ListeningSockets::Held held() const;

  /// nullptr: off or closed.
  [[nodiscard]] const AdminServer* server() const { return server_.get(); }

 private:
  std::optional<Address> bind_;
  AdminOffer offer_;
  AdminSource& source_;
  Log& log_;
  std::string made_by_;  // empty: Headgate made the socket; otherwise systemd's name for it
  std::unique_ptr<AdminServer> server_;
};

}  // namespace headgate
