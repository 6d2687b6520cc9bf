#include "backend/probe.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>
#include <utility>

#include "net/plain_stream.h"
#include "net/proxy_protocol.h"
#include "net/socket.h"
#include "net/starttls/request_steps.h"

namespace headgate {
namespace {

/// More than one record of TLS.
constexpr std::size_t kReadBytes = std::size_t{32} * 1024;

std::vector<std::byte> header_of(config::SendProxy version) {
  if (version == config::SendProxy::kNone) return {};
  return build_own_proxy_header(version == config::SendProxy::kV1 ? ProxyVersion::kV1 : ProxyVersion::kV2);
}

}  // namespace

Probe::Probe(const BackendGroup& group, const Server& server, const Address& address, const OpenTls& open_tls)
    : group_(group), server_(server), open_tls_(open_tls) {
  auto connecting = start_connect(address, group.own_end);
  if (connecting) {
    stream_ = std::make_unique<PlainStream>(*std::move(connecting));
  } else {
    why_ = "connect to " + address.text() + ": " + std::system_category().message(connecting.error());
    lacked_resources_ = is_shortage(connecting.error());
  }
}

Probe::~Probe() {
  if (stream_) stream_->reset_on_close();
}

int Probe::descriptor() const {
  return stream_ ? stream_->descriptor() : -1;
}

IoStatus Probe::fail_because(std::string why) {
  why_ = std::move(why);
  return IoStatus::kFailed;
}

IoStatus Probe::go_to(Stage stage) {
  stage_ = stage;
  sent_ = false;
  return IoStatus::kDone;
}

IoStatus Probe::advance() {
  if (!why_.empty()) return IoStatus::kFailed;
  for (;;) {
    const IoStatus status = take_stage();
    if (status != IoStatus::kDone || stage_ == Stage::kWell) return status;
  }
}

/// kDone: the next stage follows.
IoStatus Probe::take_stage() {
  switch (stage_) {
    case Stage::kConnecting:
      return connect();
    case Stage::kIntroducing:
      return introduce();
    case Stage::kAskingForTls:
      return ask_for_tls();
    case Stage::kSecuring:
      return secure();
    case Stage::kSending:
      return say();
    case Stage::kHearing:
      return hear();
    case Stage::kWell:
      break;
  }
  return IoStatus::kDone;
}

// A check that only connects says nothing, and needs no header.
IoStatus Probe::connect() {
  const IoStatus status = stream_->handshake();
  if (status == IoStatus::kFailed) return fail_because(stream_->failure().what);
  if (status != IoStatus::kDone) return status;
  const bool speaks = settings().type == config::HealthCheckType::kTls || !settings().expect.empty();
  return go_to(speaks ? Stage::kIntroducing : Stage::kWell);
}

/// Sends `bytes` once, and then what the kernel has not taken of them.
IoStatus Probe::send(std::span<const std::byte> bytes) {
  if (bytes.empty()) return IoStatus::kDone;
  const bool again = std::exchange(sent_, true);
  const IoStatus status = again ? stream_->flush() : stream_->write(bytes);
  return status == IoStatus::kFailed ? fail_because(stream_->failure().what) : status;
}

IoStatus Probe::introduce() {
  const IoStatus status = send(header_of(group_.config.send_proxy));
  if (status != IoStatus::kDone) return status;
  if (settings().type == config::HealthCheckType::kTcp) return go_to(Stage::kSending);
  const auto& tls = group_.config.tls;
  if (!tls || !tls->starttls) return begin_tls();
  upgrade_ = std::make_unique<StarttlsUpgrade>(*tls->starttls);
  return go_to(Stage::kAskingForTls);
}

IoStatus Probe::ask_for_tls() {
  std::array<std::byte, kMaxStarttlsInputBytes> room;
  const IoStatus status = upgrade_->advance(*stream_, room);
  if (status == IoStatus::kFailed) return fail_because("STARTTLS: " + upgrade_->why());
  return status == IoStatus::kDone ? begin_tls() : status;
}

IoStatus Probe::begin_tls() {
  auto stream = open_tls_(group_, server_, stream_->release_descriptor());
  stream_.reset();
  if (!stream) return fail_because("TLS: " + stream.error().what);
  stream_ = *std::move(stream);
  return go_to(Stage::kSecuring);
}

IoStatus Probe::secure() {
  const IoStatus status = stream_->handshake();
  if (status == IoStatus::kFailed && is_answer(stream_->failure())) return go_to(Stage::kWell);
  if (status == IoStatus::kEnded) return fail_because("TLS: the server ended the connection");
  if (status == IoStatus::kFailed) return fail_because("TLS: " + stream_->failure().what);
  return status == IoStatus::kDone ? go_to(Stage::kSending) : status;
}

bool Probe::is_answer(const StreamFailure& failure) const {
  return !group_.config.tls && failure.kind == FailureKind::kPeerAlert;
}

IoStatus Probe::say() {
  const IoStatus status = send(std::as_bytes(std::span(settings().send)));
  return status == IoStatus::kDone ? go_to(Stage::kHearing) : status;
}

IoStatus Probe::hear() {
  const std::string& expected = settings().expect;
  std::array<std::byte, kReadBytes> room;
  while (heard_.size() < expected.size()) {
    const ReadResult got = stream_->read(room);
    if (got.status == IoStatus::kEnded) return fail_because("the server ended before its answer was whole");
    if (got.status == IoStatus::kFailed) return fail_because(stream_->failure().what);
    if (got.status != IoStatus::kDone) return got.status;
    const std::size_t wanted = std::min(got.size_bytes, expected.size() - heard_.size());
    heard_.append(reinterpret_cast<const char*>(room.data()), wanted);
    if (judge() == IoStatus::kFailed) return IoStatus::kFailed;
  }
  return go_to(Stage::kWell);
}

/// Of a wrong answer as much is told as is expected of a right one.
IoStatus Probe::judge() {
  if (settings().expect.starts_with(heard_)) return IoStatus::kDone;
  return fail_because("the server answers " + request::quoted(heard_) + ", not " +
                      request::quoted(settings().expect));
}

}  // namespace headgate
