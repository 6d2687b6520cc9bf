#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "connection/handover_message.h"
#include "net/descriptor_passing.h"
#include "net/fd.h"
#include "supervisor/systemd.h"

namespace headgate {

/// The environment variable that names the socket to the process before.
inline constexpr const char* kHandoverVariable = "HEADGATE_HANDOVER_FD";

/// The process that started this one for an upgrade, as seen from here: its listening sockets, its live
/// connections and its counters come from it, in this order.
///
///     receive_sockets();                 // then load and prepare everything
///     receive_connections(take, count);  // says that all is ready; back when all of it is ours
///
/// Until receive_connections() succeeds the other process has everything, and carries on with it if this one
/// ends. Supervisor's thread; blocks, for a bounded time.
class Predecessor {
 public:
  /// Nullptr where this process was not started by an upgrade. Takes the variable from the environment, so
  /// call it before threads start.
  [[nodiscard]] static std::unique_ptr<Predecessor> find();
  explicit Predecessor(Fd socket);

  /// Errors, of both: what receive_with_descriptors() and decode_handover() say; the process must end then.
  [[nodiscard]] Result<std::vector<systemd::ActivatedSocket>> receive_sockets();
  /// `take` says why a connection cannot be served here: then it stays where it is.
  using Take = std::function<Result<void>(HandoverConnection connection, Fd client, Fd backend)>;
  [[nodiscard]] Result<void> receive_connections(
      const Take& take, const std::function<void(const std::vector<std::string>&)>& count);

  /// Tells the other process why this one ends.
  void refuse(const std::string& why);

 private:
  struct Received {
    HandoverMessage message;
    std::vector<Fd> descriptors;
  };
  [[nodiscard]] Result<Received> receive();
  [[nodiscard]] Result<void> say(HandoverWord word, std::string detail = {});

  Fd socket_;
};

}  // namespace headgate
