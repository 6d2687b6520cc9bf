#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>

#include "tls_connection.h"

namespace headgate::bench {

/// One client from connect to close: handshake, 64 bytes there and back, close_notify, the proxy's end
/// awaited.
class Visit final : public Pollable {
 public:
  enum class Outcome { kServed, kFailed };
  /// Called last, when it is over; destroys it.
  using Over = std::function<void(Visit&, Outcome)>;

  Visit(Poller& poller, Target& target, TimePoint born, const Over& over);
  void on_ready() override;

  /// Unique among the visits of a Visits.
  [[nodiscard]] TimePoint born() const { return born_; }
  /// When the 64 bytes were back; the clock's zero before.
  [[nodiscard]] TimePoint answered() const { return answered_; }
  [[nodiscard]] bool resumed() const { return connection_.resumed(); }

 private:
  enum class Stage { kHandshake, kAsk, kListen, kLeave };
  Progress step();

  TimePoint born_;
  TimePoint answered_{};
  const Over& over_;
  Stage stage_ = Stage::kHandshake;
  std::array<char, kRequestBytes + 64> question_{};
  std::span<const char> unsent_{question_};
  std::size_t heard_bytes_ = 0;
  TlsConnection connection_;
};

/// The visits under way.
class Visits {
 public:
  /// Called when a visit is over, before it is forgotten.
  using Note = std::function<void(const Visit&, Visit::Outcome)>;

  Visits(Poller& poller, Target& target, Note note);
  void begin();
  /// Drops those that began before `latest` and are not over.
  void give_up_on(TimePoint latest) { visits_.erase(visits_.begin(), visits_.lower_bound(latest)); }
  [[nodiscard]] std::size_t size() const { return visits_.size(); }
  /// Calls `look(visit)` for each.
  template <class Look>
  void each(Look look) const {
    for (const auto& [born, visit] : visits_) look(*visit);
  }

 private:
  Poller& poller_;
  Target& target_;
  Visit::Over over_;
  std::map<TimePoint, std::unique_ptr<Visit>> visits_;  // by birth
};

}  // namespace headgate::bench
