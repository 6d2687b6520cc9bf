#include "base/locked_memory.h"

#include <string.h>
#include <sys/mman.h>

#include <memory_resource>
#include <mutex>
#include <new>

namespace headgate {
namespace {

constexpr std::size_t kLockedRegionBytes = 32 * 1024;

/// Regions that the kernel gives and keeps in memory.
class LockedRegions final : public std::pmr::memory_resource {
 private:
  void* do_allocate(std::size_t size_bytes, std::size_t) override {
    void* region = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED) throw std::bad_alloc();
    // Each of them is an improvement, and the secrets are needed without it too.
    (void)::madvise(region, size_bytes, MADV_DONTDUMP);
    (void)::madvise(region, size_bytes, MADV_WIPEONFORK);
    (void)::mlock(region, size_bytes);
    return region;
  }
  void do_deallocate(void* region, std::size_t size_bytes, std::size_t) override {
    ::munmap(region, size_bytes);
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }
};

/// One for the process, since the bound of what may be locked is one for the process.
class LockedMemory {
 public:
  void* allocate(std::size_t size_bytes) {
    const std::lock_guard lock(mutex_);
    return pool_.allocate(size_bytes);
  }
  void free(void* memory, std::size_t size_bytes) {
    const std::lock_guard lock(mutex_);
    pool_.deallocate(memory, size_bytes);
  }

 private:
  std::mutex mutex_;
  LockedRegions regions_;
  std::pmr::monotonic_buffer_resource pages_{kLockedRegionBytes, &regions_};
  std::pmr::unsynchronized_pool_resource pool_{
      {.max_blocks_per_chunk = 16, .largest_required_pool_block = kLockedRegionBytes}, &pages_};
};

LockedMemory& locked_memory() {
  static LockedMemory memory;
  return memory;
}

}  // namespace

void* allocate_locked(std::size_t size_bytes) {
  return locked_memory().allocate(size_bytes);
}

void free_locked(void* memory, std::size_t size_bytes) {
  explicit_bzero(memory, size_bytes);
  locked_memory().free(memory, size_bytes);
}

}  // namespace headgate
