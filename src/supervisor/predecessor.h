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
#include "supervisor/sandbox_layers.h"
#include "supervisor/systemd.h"

namespace headgate {

/// The environment variable that names the socket to the process before.
inline constexpr const char* kHandoverVariable = "HEADGATE_HANDOVER_FD";

/// The process that started this one for an upgrade, as this process sees it. It sends its listening sockets
/// and certificates, its live connections and its counters, in this order.
///
///     receive_sockets();                 // then load and prepare everything
///     receive_connections(take, count);  // says that all is ready; back when it is time to begin
///     say_serving();                     // once all of it is at work here, before a byte is moved
///
/// Until say_serving() succeeds the other process holds every connection, and carries on if this process
/// ends. Supervisor's thread; blocks, for a bounded time.
class Predecessor {
 public:
  /// Returns nullptr where no upgrade started this process. Takes the variable out of the environment, so
  /// call it before threads start.
  [[nodiscard]] static std::unique_ptr<Predecessor> find();
  explicit Predecessor(Fd socket);

  /// The listening sockets, and the certificates that the other process serves.
  struct Inheritance {
    std::vector<systemd::ActivatedSocket> sockets;
    std::vector<HandoverCertificate> certificates{};
  };
  /// Errors of both: those of receive_with_descriptors() and decode_handover(); the process must end then.
  [[nodiscard]] Result<Inheritance> receive_sockets();
  /// The layers of its sandbox, once its sockets are received. None, where its version does not tell.
  [[nodiscard]] const SandboxLayers& layers() const { return layers_; }
  /// `take` says why this process cannot serve a connection, which then stays in the other process.
  using Take = std::function<Result<void>(HandoverConnection connection, Fd client, Fd backend)>;
  [[nodiscard]] Result<void> receive_connections(
      const Take& take, const std::function<void(const std::vector<std::string>&)>& count);

  /// Says that this process has every connection from here on. An error: the other process has taken them
  /// back, or is gone; this process may not move a byte then, and must end.
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
  SandboxLayers layers_;
};

}  // namespace headgate
