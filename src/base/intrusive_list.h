#pragma once

#include <cstddef>

namespace headgate {

/// An element's place in one IntrusiveList. An element in a list neither moves nor dies.
template <class T>
struct ListHook {
  T* before = nullptr;
  T* behind = nullptr;
  bool linked = false;
};

/// A list whose elements hold their own places, `kHook` of T: nothing is allocated, and an element leaves in
/// constant time. Owns nothing. One thread.
template <class T, ListHook<T> T::* kHook>
class IntrusiveList {
 public:
  [[nodiscard]] bool empty() const { return front_ == nullptr; }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The element added first; nullptr when there is none.
  [[nodiscard]] T* front() const { return front_; }
  [[nodiscard]] T* back() const { return back_; }

  void push_back(T& element) {
    ListHook<T>& hook = element.*kHook;
    hook = {.before = back_, .behind = nullptr, .linked = true};
    (back_ != nullptr ? (back_->*kHook).behind : front_) = &element;
    back_ = &element;
    ++size_;
  }
  void remove(T& element) {
    ListHook<T>& hook = element.*kHook;
    (hook.before != nullptr ? (hook.before->*kHook).behind : front_) = hook.behind;
    (hook.behind != nullptr ? (hook.behind->*kHook).before : back_) = hook.before;
    hook = {};
    --size_;
  }

 private:
  T* front_ = nullptr;
  T* back_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace headgate
