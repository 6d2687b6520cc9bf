#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/group.h"
#include "base/result.h"
#include "net/address.h"
#include "net/fd.h"
#include "net/starttls/upgrade.h"
#include "net/stream.h"

namespace headgate {

/// Makes the TLS stream to `server` over a connected descriptor, as connections to it have it. Called on the
/// health checker's thread, so it uses contexts of that thread.
using OpenTls = std::function<Result<std::unique_ptr<Stream>>(const BackendGroup& group, const Server& server,
                                                              Fd connected)>;

/// One attempt to reach one address of a server:
///
///   connect > PROXY header > STARTTLS > TLS handshake > send > expect
///
/// as far as the backend has them; `type: tcp` leaves TLS out, and ends with the connection where nothing is
/// to be said or heard. A server of a backend without `tls`, which clients reach with TLS of their own, need
/// only answer in TLS. The probe ends the connection with a reset, which leaves nothing behind in either
/// kernel. One thread; never blocks.
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
  /// Whether it failed because we had no descriptor or no memory for it: it says nothing about the server.
  [[nodiscard]] bool lacked_resources() const { return lacked_resources_; }
  /// Why it failed, for the log.
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  enum class Stage : std::uint8_t {
    kConnecting,
    kIntroducing,
    kAskingForTls,
    kSecuring,
    kSending,
    kHearing,
    kWell
  };

  [[nodiscard]] const config::HealthCheck& settings() const { return *group_.config.health_check; }
  IoStatus take_stage();
  IoStatus connect();
  IoStatus introduce();
  IoStatus ask_for_tls();
  IoStatus begin_tls();
  /// Whether the server is well although the handshake failed. Where TLS is between the clients and the
  /// server alone, the server may want a name or a certificate that only they have; its alert shows that it
  /// serves.
  [[nodiscard]] bool is_answer(const StreamFailure& failure) const;
  IoStatus secure();
  IoStatus say();
  IoStatus hear();
  IoStatus judge();
  IoStatus send(std::span<const std::byte> bytes);
  IoStatus go_to(Stage stage);
  IoStatus fail_because(std::string why);

  const BackendGroup& group_;
  const Server& server_;
  const OpenTls& open_tls_;
  std::string why_;
  bool lacked_resources_ = false;
  Stage stage_ = Stage::kConnecting;
  std::unique_ptr<Stream> stream_;            // null where not even a connect could begin, or TLS
  std::unique_ptr<StarttlsUpgrade> upgrade_;  // in kAskingForTls
  bool sent_ = false;                         // what the stage sends is with the stream
  std::string heard_;                         // at most as long as what is expected
};

}  // namespace headgate
