#pragma once

#include <algorithm>
#include <array>

#include "tls_connection.h"

namespace headgate::bench {

/// An established connection to the backend's echo, on which 64 bytes go there and back.
class Echoed final : public Pollable {
 public:
  Echoed(Poller& poller, Target& target) : connection_(poller, *this, target) {
    write_request('e', 0, question_);
  }

  [[nodiscard]] bool failed() const { return failed_; }
  /// Established, and no answer is awaited.
  [[nodiscard]] bool at_rest() const { return established_ && unheard_bytes_ == 0; }
  /// When the last answer was complete.
  [[nodiscard]] TimePoint answered() const { return answered_; }
  [[nodiscard]] TimePoint asked() const { return asked_; }

  /// Sends 64 bytes, the first time behind the request.
  void ask() {
    const std::span<const char> all(question_);
    unsent_ = requested_ ? all.subspan(kRequestBytes) : all;
    requested_ = true;
    unheard_bytes_ = 64;
    asked_ = Clock::now();
    on_ready();
  }

  void on_ready() override {
    Progress progress = Progress::kDone;
    if (!established_) {
      progress = connection_.handshake();
      established_ = progress == Progress::kDone;
    }
    if (progress == Progress::kDone && !unsent_.empty()) progress = connection_.write(unsent_);
    // Read even at rest: session tickets come when they like.
    while (progress == Progress::kDone) progress = hear();
    failed_ = progress == Progress::kEnded;
  }

 private:
  Progress hear() {
    std::array<char, 256> answer;
    std::size_t got = 0;
    const Progress progress = connection_.read(answer, got);
    if (progress != Progress::kDone) return progress;
    unheard_bytes_ -= std::min(unheard_bytes_, got);
    if (unheard_bytes_ == 0) answered_ = Clock::now();
    return progress;
  }

  bool established_ = false, requested_ = false, failed_ = false;
  std::array<char, kRequestBytes + 64> question_{};
  std::span<const char> unsent_;
  std::size_t unheard_bytes_ = 0;
  TimePoint asked_{}, answered_{};
  TlsConnection connection_;
};

}  // namespace headgate::bench
