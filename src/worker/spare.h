#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "backend/group.h"
#include "base/units.h"
#include "event/io_watcher.h"
#include "net/stream.h"

namespace headgate {

class SparePool;

/// One spare connection to one server. It says nothing, and watches whether the server does. Loop thread
/// only.
class Spare {
 public:
  enum class Condition : std::uint8_t {
    kConnecting,
    kReady,   ///< A client can have it.
    kSpoken,  ///< The server has sent something: it is spoilt.
    kEnded,   ///< The server has ended or reset it.
    kFailed   ///< It could not be established.
  };

  /// `stream` connects to `choice` in the group of `pool`, which owns this object and hears of each event
  /// (SparePool::look_at()). It is too old once it has been ready for `oldest`.
  Spare(Loop& loop, SparePool& pool, const SpareChoice& choice, std::unique_ptr<Stream> stream,
        Duration oldest, TimePoint now);
  Spare(const Spare&) = delete;
  Spare& operator=(const Spare&) = delete;

  /// Looks what has become of it. One read at most.
  Condition look(TimePoint now);
  [[nodiscard]] Condition condition() const { return condition_; }
  /// Whether the server has sent something, however it went on.
  [[nodiscard]] bool has_heard() const { return heard_; }
  /// Since when it is in this condition, and how long it has been established.
  [[nodiscard]] TimePoint since() const { return since_; }
  [[nodiscard]] Duration lived(TimePoint now) const {
    return condition_ == Condition::kConnecting ? Duration::zero() : now - established_;
  }
  [[nodiscard]] bool is_old(TimePoint now) const { return now - since_ >= oldest_; }
  [[nodiscard]] std::size_t server() const { return to_.index; }
  [[nodiscard]] const Address& address() const { return to_.address; }
  /// Gives the connection away; this object is used up.
  [[nodiscard]] std::unique_ptr<Stream> release();

 private:
  static void on_event(void* self, Interest ready);
  void enter(Condition condition, TimePoint now);

  SparePool& pool_;
  const SpareChoice to_;
  const Duration oldest_;
  Condition condition_ = Condition::kConnecting;
  bool heard_ = false;
  TimePoint since_;
  TimePoint established_{};
  std::unique_ptr<Stream> stream_;
  IoWatcher watcher_;
};

}  // namespace headgate
