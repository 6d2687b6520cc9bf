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
///     receive_connections(take, count);  // says that all is ready; back when it is time to begin
///     say_serving();                     // once all of it is at work here, before a byte is moved
///
/// Until say_serving() succeeds the other process holds everything, and carries on with it if this one ends.
/// Supervisor's thread; blocks, for a bounded time.
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

  /// Everything is ours from here on. An error: the other process has taken it back, or is gone; not a byte
  /// may be moved then, and the process must end.
  [[nodiscard]] Result<void> say_serving() { return say(HandoverWord::kServing); }

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
