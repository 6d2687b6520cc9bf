#pragma once

#include "admin/admin_endpoint.h"
#include "config/config.h"

namespace headgate {

/// The addresses of the admin endpoint: admin.bind for all of it, and admin.metrics_bind for metrics and
/// health alone. Threads as those of AdminEndpoint.
class AdminDoors {
 public:
  /// `source` and `log` outlive it.
  AdminDoors(const config::Config& config, AdminSource& source, Log& log)
      : all_(config.admin, source, log), metrics_(config.admin_metrics, source, log, AdminOffer::kMetrics) {}

  /// Serves on `inherited`, and on sockets of its own for those that are empty. Errors: those of AdminServer;
  /// an address may be open then.
  [[nodiscard]] Result<void> open(ListeningSockets::AdminSockets inherited);
  /// Stops serving: clients wait in the sockets for the process that has them.
  void close();
  /// Duplicates of the sockets for another process.
  [[nodiscard]] ListeningSockets::AdminSockets held() const { return {all_.held(), metrics_.held()}; }

  /// The server of admin.bind; nullptr: off or closed.
  [[nodiscard]] const AdminServer* server() const { return all_.server(); }

 private:
  AdminEndpoint all_, metrics_;
};

}  // namespace headgate
