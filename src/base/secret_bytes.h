#pragma once

#include <string.h>

#include <cstddef>
#include <memory>
#include <vector>

namespace headgate {

/// An allocator that wipes memory before it frees it, so that no copy is left when a vector grows or is
/// destroyed.
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

/// Bytes that contain keys.
using SecretBytes = std::vector<std::byte, WipingAllocator<std::byte>>;

}  // namespace headgate
