#include "backend/probe.h"

#include <poll.h>

#include <system_error>
#include <utility>

#include "net/socket.h"

namespace headgate {

Probe::Probe(const BackendGroup& group, const Server& server, const Address& address, const OpenTls& open_tls)
    : group_(group), server_(server), open_tls_(open_tls) {
  auto connecting = start_connect(address);
  if (!connecting) {
    why_ = "connect to " + address.text() + ": " + std::system_category().message(connecting.error());
    return;
  }
  in_progress_ = connecting->in_progress;
  connection_ = std::move(connecting->fd);
}

Probe::~Probe() {
  if (tls_) {
    tls_->reset_on_close();
  } else if (connection_) {
    set_reset_on_close(connection_.number());
  }
}

int Probe::descriptor() const {
  return tls_ ? tls_->descriptor() : connection_.number();
}

IoStatus Probe::fail_because(std::string why) {
  why_ = std::move(why);
  return IoStatus::kFailed;
}

IoStatus Probe::advance() {
  if (!why_.empty()) return IoStatus::kFailed;
  if (!tls_) {
    const IoStatus connected = finish_connect();
    if (connected != IoStatus::kDone || group_.config.health_check->type == config::HealthCheckType::kTcp) {
      return connected;
    }
    return begin_tls();
  }
  const IoStatus status = tls_->handshake();
  if (status == IoStatus::kEnded) return fail_because("TLS: the server ended the connection");
  if (status == IoStatus::kFailed) return fail_because("TLS: " + tls_->failure().what);
  return status;
}

IoStatus Probe::finish_connect() {
  if (!in_progress_) return IoStatus::kDone;
  pollfd writable{connection_.number(), POLLOUT, 0};
  if (::poll(&writable, 1, 0) == 0) return IoStatus::kWantWrite;
  in_progress_ = false;
  const int error = connect_outcome(connection_.number());
  return error == 0 ? IoStatus::kDone : fail_because("connect: " + std::system_category().message(error));
}

IoStatus Probe::begin_tls() {
  auto stream = open_tls_(group_, server_, std::move(connection_));
  if (!stream) return fail_because("TLS: " + stream.error().what);
  tls_ = *std::move(stream);
  return advance();
}

}  // namespace headgate
