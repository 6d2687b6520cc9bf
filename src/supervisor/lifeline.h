#pragma once

#include <memory>
#include <utility>

namespace headgate {

/// Lets an owner make closures that may run after its end: they do nothing then. A member of the owner.
///
///     inbox_.post(lifeline_.guard([this] { settle(); }));
///
/// The closures run on the thread that destroys the owner; they may be made, moved and destroyed on any.
class Lifeline {
 public:
  Lifeline() = default;
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;

  /// Returns a closure that calls `closure` while the owner lives.
  template <class Closure>
  [[nodiscard]] auto guard(Closure closure) const {
    return [alive = std::weak_ptr(alive_), closure = std::move(closure)](auto&&... arguments) {
      if (!alive.expired()) closure(std::forward<decltype(arguments)>(arguments)...);
    };
  }

 private:
  struct Alive {};
  std::shared_ptr<Alive> alive_ = std::make_shared<Alive>();
};

}  // namespace headgate
