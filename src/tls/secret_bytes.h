#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <openssl/crypto.h>

namespace headgate {

/// Wipes memory before it is given back. For containers of key material.
template <class T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <class U>
  explicit WipingAllocator(const WipingAllocator<U>&) {}
  [[nodiscard]] T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* at, std::size_t count) {
    OPENSSL_cleanse(at, count * sizeof(T));
    std::allocator<T>().deallocate(at, count);
  }
  bool operator==(const WipingAllocator&) const = default;
};

/// Bytes that may hold a key: wiped when freed, and each time they move to a larger block.
using SecretBytes = std::vector<std::byte, WipingAllocator<std::byte>>;

}  // namespace headgate
