#pragma once

#include <sys/eventfd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/close_reason.h"
#include "net/stream.h"

namespace headgate::test {

/// The acts of a peer, and the bytes that it has received. A test shares it with the stream that plays it, so
/// that the test can still ask when the connection is gone.
///
/// The stream takes its answers from the front of their list. When the list is empty, a handshake, a write, a
/// flush and an end are done, and a read has to wait.
struct Script {
  struct Piece {
    IoStatus status;
    std::string bytes;
    bool drained = false;
    std::uint16_t key_updates = 0;
  };

  std::deque<IoStatus> handshakes, writes, flushes, ends;
  std::deque<Piece> reads;
  StreamFailure failure;
  HandshakeFailure refusal =
      HandshakeFailure::kNone;  ///< The failure by which the transport explains itself.
  bool without_notice = false;
  bool buffered = false;  ///< has_buffered(), while bytes are left to read.
  bool holds_back = false;
  bool tls = false;

  std::string written;  ///< The bytes that have left, without those that are still kept.
  std::string kept;
  std::size_t most_kept_bytes = 0;
  std::size_t bytes_read = 0;
  int handshake_steps = 0;
  std::function<void()> on_handshake = [] {};  ///< Called in each step.
  bool ended = false, cut_short = false, reset = false, closed = false;
  int alert = -1;  ///< The one that it got at the end.

  Script() : event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  void sends(std::string bytes) { comes({IoStatus::kDone, std::move(bytes)}); }
  void leaves() { comes({IoStatus::kEnded, {}}); }
  void breaks(FailureKind kind) {
    failure = {.kind = kind, .alert = -1, .what = "as scripted", .error = 0};
    comes({IoStatus::kFailed, {}});
  }
  void comes(Piece piece) {
    reads.push_back(std::move(piece));
    HG_CHECK(::eventfd_write(event.number(), 1) == 0);
  }

  Fd event;  ///< Readable while bytes are left to read; always writable.
};

/// Plays a script.
class FakeStream final : public Stream {
 public:
  explicit FakeStream(std::shared_ptr<Script> script) : script_(std::move(script)) {}
  ~FakeStream() override { script_->closed = true; }

  [[nodiscard]] int descriptor() const override { return script_->event.number(); }

  [[nodiscard]] bool is_tls() const override { return script_->tls; }

  IoStatus handshake() override {
    ++script_->handshake_steps;
    script_->on_handshake();
    return next(script_->handshakes);
  }

  ReadResult read(std::span<std::byte> into) override {
    auto& reads = script_->reads;
    if (reads.empty()) return {};
    Script::Piece& piece = reads.front();
    if (piece.status == IoStatus::kEnded || piece.status == IoStatus::kFailed)
      return {piece.status, 0, false};
    const std::size_t size = std::min(piece.bytes.size(), into.size());
    std::memcpy(into.data(), piece.bytes.data(), size);
    script_->bytes_read += size;
    ReadResult result{piece.status, size, piece.drained, std::exchange(piece.key_updates, std::uint16_t{})};
    if (size < piece.bytes.size()) {
      piece.bytes.erase(0, size);
      result.drained = false;
    } else {
      reads.pop_front();
    }
    if (reads.empty()) {
      eventfd_t count = 0;
      ::eventfd_read(script_->event.number(), &count);
    }
    return result;
  }

  [[nodiscard]] bool ended_without_notice() const override { return script_->without_notice; }
  [[nodiscard]] bool has_buffered() const override { return script_->buffered && !script_->reads.empty(); }

  IoStatus write(std::span<const std::byte> bytes) override {
    EXPECT_EQ(script_->kept.size(), 0U) << "written to while something is unsent";
    EXPECT_LE(bytes.size(), kMaxWriteBytes);
    script_->holds_back = false;
    script_->kept.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return sent(next(script_->writes));
  }
  IoStatus flush() override {
    script_->holds_back = false;
    return sent(next(script_->flushes));
  }
  [[nodiscard]] std::size_t unsent_bytes() const override { return script_->kept.size(); }
  [[nodiscard]] bool holds_back() const override { return script_->holds_back; }

  IoStatus end_writing() override {
    const IoStatus status = next(script_->ends);
    script_->ended = script_->ended || status == IoStatus::kDone;
    return status;
  }
  IoStatus end_cut_short() override {
    script_->cut_short = true;
    return IoStatus::kDone;
  }
  IoStatus end_with_alert(std::uint8_t alert) override {
    script_->alert = alert;
    return IoStatus::kDone;
  }
  void reset_on_close() override { script_->reset = true; }
  [[nodiscard]] const StreamFailure& failure() const override { return script_->failure; }

  [[nodiscard]] const std::shared_ptr<Script>& script() const { return script_; }

 private:
  static IoStatus next(std::deque<IoStatus>& answers) {
    if (answers.empty()) return IoStatus::kDone;
    const IoStatus answer = answers.front();
    answers.pop_front();
    return answer;
  }
  IoStatus sent(IoStatus status) {
    if (status == IoStatus::kDone) script_->written += std::exchange(script_->kept, {});
    script_->most_kept_bytes = std::max(script_->most_kept_bytes, script_->kept.size());
    return status;
  }

  std::shared_ptr<Script> script_;
};

}  // namespace headgate::test
