#pragma once

#include <cstddef>
#include <vector>

namespace headgate {

/// Memory for the few secrets that live as long as the process: the system writes it to no swap space and no
/// core file, and a child process finds zeros in it. Pages of it are shared by all secrets, since the system
/// bounds what a process may lock (RLIMIT_MEMLOCK). Where the system refuses one of these, the memory is
/// ordinary memory.
///
/// The pages stay until the process ends. Any thread; throws std::bad_alloc, as operator new does.
[[nodiscard]] void* allocate_locked(std::size_t size_bytes);
/// Wipes the memory, which must be of that size, and gives it back.
void free_locked(void* memory, std::size_t size_bytes);

/// An allocator of locked memory.
template <class T>
struct LockedAllocator {
  using value_type = T;
  static_assert(alignof(T) <= alignof(std::max_align_t));

  LockedAllocator() = default;
  template <class Other>
  explicit LockedAllocator(const LockedAllocator<Other>&) {}

  T* allocate(std::size_t count) { return static_cast<T*>(allocate_locked(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t count) { free_locked(memory, count * sizeof(T)); }
  bool operator==(const LockedAllocator&) const = default;
};

/// A vector of secrets.
template <class T>
using LockedVector = std::vector<T, LockedAllocator<T>>;

}  // namespace headgate
