#pragma once

#include <string.h>

#include <cstddef>
#include <memory>
#include <vector>

namespace headgate {

/// An allocator that wipes what it takes back, so that no copy stays behind when a vector grows or goes.
template <class T>
struct WipingAllocator {
  using value_type = T;

  WipingAllocator() = default;
  template <class Other>
  explicit WipingAllocator(const WipingAllocator<Other>&) {}

  T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* memory, std::size_t count) {
    explicit_bzero(static_cast<void*>(memory), count * sizeof(T));
    std::allocator<T>().deallocate(memory, count);
  }
  bool operator==(const WipingAllocator&) const = default;
};

/// Bytes with keys among them.
using SecretBytes = std::vector<std::byte, WipingAllocator<std::byte>>;

}  // namespace headgate
