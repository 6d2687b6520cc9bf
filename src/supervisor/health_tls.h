#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "backend/group.h"
#include "net/buffers.h"
#include "snapshot/snapshot.h"
#include "tls/handshake/client_context.h"
#include "tls/library/library_context.h"

namespace headgate {

/// TLS for health checks of `type: tls`: contexts of its own, for the checker's thread.
class HealthTls {
 public:
  /// Errors: kInvalid when OpenSSL cannot be set up.
  [[nodiscard]] static Result<std::unique_ptr<HealthTls>> make();

  /// Connects from now on with the settings of the backends of `snapshot`. Supervisor.
  void follow(std::shared_ptr<const Snapshot> snapshot);
  /// Makes a TLS stream to `server` on a connected descriptor: with the settings of the backend's `tls`, or
  /// without verification where it has none. The checker's thread.
  [[nodiscard]] Result<std::unique_ptr<Stream>> open(const BackendGroup& group, const Server& server,
                                                     Fd connected);

 private:
  explicit HealthTls(std::unique_ptr<LibraryContext> library) : library_(std::move(library)) {}
  [[nodiscard]] Result<std::shared_ptr<ClientContext>> context(const std::string& backend);

  std::unique_ptr<LibraryContext> library_;
  Buffers buffers_;
  std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_;                        // guarded by mutex_
  std::shared_ptr<const Snapshot> contexts_of_;                     // the checker's thread, as all below
  std::map<std::string, std::shared_ptr<ClientContext>> contexts_;  // each check under way shares its own
};

}  // namespace headgate
