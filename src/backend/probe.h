#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backend/group.h"
#include "base/result.h"
#include "net/address.h"
#include "net/fd.h"
#include "net/stream.h"

namespace headgate {

/// Makes the TLS stream to `server` over a connected descriptor, as connections to it have it. Called on the
/// health checker's thread, so it uses contexts of that thread.
using OpenTls = std::function<Result<std::unique_ptr<Stream>>(const BackendGroup& group, const Server& server,
                                                              Fd connected)>;

/// One attempt to reach one address of a server: connects, and for `type: tls` does a whole handshake,
/// verification included. Ends the connection with a reset, which leaves nothing behind in either kernel. One
/// thread; never blocks.
class Probe {
 public:
  /// `open_tls` outlives it.
  Probe(const BackendGroup& group, const Server& server, const Address& address, const OpenTls& open_tls);
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  ~Probe();

  /// Goes on as far as it can. kWantRead or kWantWrite: wait for descriptor(). kDone: the server is well.
  /// kFailed.
  IoStatus advance();
  /// -1 when there is nothing to wait for.
  [[nodiscard]] int descriptor() const;
  /// Why it failed, for the log.
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  IoStatus finish_connect();
  IoStatus begin_tls();
  IoStatus fail_because(std::string why);

  const BackendGroup& group_;
  const Server& server_;
  const OpenTls& open_tls_;
  std::string why_;
  bool in_progress_ = false;
  Fd connection_;
  std::unique_ptr<Stream> tls_;
};

}  // namespace headgate
