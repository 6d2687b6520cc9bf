#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "measure.h"
#include "modes.h"
#include "tls_connection.h"

namespace headgate::bench {
namespace {

/// Larger than what any proxy passes on in one step.
constexpr std::size_t kChunkBytes = 256 * 1024;

/// One stream of bulk: 'u' so many bytes up, then the backend's one; 'd' so many down.
class Stream final : public Pollable {
 public:
  Stream(Poller& poller, Target& target, char direction, std::uint64_t size_bytes)
      : to_send_(direction == 'u' ? size_bytes : 0),
        to_hear_(direction == 'u' ? 1 : size_bytes),
        connection_(poller, *this, target) {
    write_request(direction, size_bytes, request_);
  }

  [[nodiscard]] bool established() const { return stage_ == Stage::kEstablished; }
  [[nodiscard]] bool over() const { return stage_ == Stage::kOver; }
  [[nodiscard]] bool failed() const { return stage_ == Stage::kFailed; }

  /// Begins the transfer; before, only the handshake is done.
  void start() {
    stage_ = Stage::kTransfer;
    on_ready();
  }

  void on_ready() override {
    if (stage_ == Stage::kHandshake) advance(connection_.handshake(), Stage::kEstablished);
    if (stage_ == Stage::kTransfer) advance(transfer(), Stage::kOver);
  }

 private:
  enum class Stage { kHandshake, kEstablished, kTransfer, kOver, kFailed };

  void advance(Progress progress, Stage next) {
    if (progress == Progress::kDone) stage_ = next;
    if (progress == Progress::kEnded) stage_ = Stage::kFailed;
  }

  Progress transfer() {
    if (const Progress asked = connection_.write(unsent_request_); asked != Progress::kDone) return asked;
    if (const Progress sent = send_all(); sent != Progress::kDone) return sent;
    return hear_all();
  }

  Progress send_all() {
    static const std::array<char, kChunkBytes> filling{};
    while (to_send_ > 0) {
      std::span<const char> chunk = std::span(filling).first(std::min<std::uint64_t>(to_send_, kChunkBytes));
      const std::size_t size = chunk.size();
      const Progress sent = connection_.write(chunk);
      to_send_ -= size - chunk.size();
      if (sent != Progress::kDone) return sent;
    }
    return Progress::kDone;
  }

  Progress hear_all() {
    static std::array<char, kChunkBytes> buffer;
    while (to_hear_ > 0) {
      std::size_t got = 0;
      const Progress heard = connection_.read(buffer, got);
      if (heard != Progress::kDone) return heard;
      to_hear_ -= std::min<std::uint64_t>(to_hear_, got);
    }
    return Progress::kDone;
  }

  std::uint64_t to_send_, to_hear_;
  Stage stage_ = Stage::kHandshake;
  std::array<char, kRequestBytes> request_{};
  std::span<const char> unsent_request_{request_};
  TlsConnection connection_;
};

using Streams = std::vector<std::unique_ptr<Stream>>;

/// Turns until `is_there` holds for every stream; gives up when one fails or it takes a minute.
void turn_until(Poller& poller, const Streams& streams, bool (Stream::*is_there)() const) {
  const TimePoint latest = Clock::now() + std::chrono::minutes(1);
  const auto all = [&] {
    return std::ranges::all_of(streams, [&](const auto& each) { return ((*each).*is_there)(); });
  };
  while (!all()) {
    if (Clock::now() > latest) give_up("the transfer takes more than a minute");
    if (std::ranges::any_of(streams, [](const auto& each) { return each->failed(); }))
      give_up("a stream failed");
    poller.turn(latest);
  }
}

void run_transfer(const Options& options, char direction) {
  Poller poller;
  Target target(options);
  Streams streams;
  for (std::size_t i = 0; i < options.connections; ++i) {
    streams.push_back(
        std::make_unique<Stream>(poller, target, direction, options.bytes / options.connections));
    if (streams.size() % kOpenedAtOnce == 0) turn_until(poller, streams, &Stream::established);
  }
  turn_until(poller, streams, &Stream::established);
  Measure measure(options.pids);
  measure.begin();
  for (const auto& stream : streams) stream->start();
  turn_until(poller, streams, &Stream::over);
  measure.end();
  Report report;
  report.add("operations", static_cast<double>(options.bytes) / (1024.0 * 1024 * 1024));
  report.add(measure);
  report.print();
}

}  // namespace

void run_upload(const Options& options) {
  run_transfer(options, 'u');
}

void run_download(const Options& options) {
  run_transfer(options, 'd');
}

}  // namespace headgate::bench
