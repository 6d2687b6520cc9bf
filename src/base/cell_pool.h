#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace headgate {

/// Memory for many small objects of one size that live long: cells, packed into pages of their own.
///
/// malloc() puts such objects between the much larger ones of handshakes. When those are freed, the holes
/// that they leave cost half as much again as the objects. A page of the pool that has no cell in use goes
/// back to the system.
///
/// One thread makes and uses a pool. After that thread has ended, one other thread may give cells back.
class CellPool {
 public:
  static constexpr std::size_t kPageBytes = 4096;
  static constexpr std::size_t kHeaderBytes = 40;
  /// How many cells of `cell_bytes` a page has.
  static constexpr std::size_t cells_per_page(std::size_t cell_bytes) {
    return (kPageBytes - kHeaderBytes) / cell_bytes;
  }

  /// `cell_bytes` is a multiple of 8. Cells are aligned to 8 bytes.
  explicit CellPool(std::size_t cell_bytes);
  /// No cell may be in use.
  ~CellPool();
  CellPool(const CellPool&) = delete;
  CellPool& operator=(const CellPool&) = delete;

  /// A cell. Throws std::bad_alloc, as operator new does.
  [[nodiscard]] void* take();
  /// Gives `cell` back to the pool that it came from.
  static void give_back(void* cell) noexcept;

  /// For a thread that ends while cells are in use: their owner may still give them back, and `pool` ends
  /// with the last of them.
  static void outlive_thread(std::unique_ptr<CellPool> pool);

  [[nodiscard]] std::size_t cells_in_use() const { return cells_in_use_; }
  /// The memory that the pool holds now, free pages included.
  [[nodiscard]] std::size_t size_bytes() const { return (pages_in_use_ + spare_.size()) * kPageBytes; }

  /// The pool keeps kSparePages free pages, or one for each kSpareShare pages in use if that is more, so that
  /// taking and giving back cost no system call.
  static constexpr std::size_t kSparePages = 16;
  static constexpr std::size_t kSpareShare = 8;

 private:
  struct Cell;
  struct Page;

  Page& fresh_page();
  void map_region();
  void link(Page& page);
  void unlink(Page& page);
  void put(Page& page, void* cell);
  void retire(Page& page);
  void return_spare_pages();

  const std::size_t cell_bytes_;
  const pthread_t owner_ = pthread_self();
  std::unique_ptr<CellPool> itself_;  // once its thread has ended
  std::size_t cells_in_use_ = 0;
  std::size_t pages_in_use_ = 0;
  Page* with_room_ = nullptr;    // pages that have both used and free cells
  std::vector<void*> spare_;     // pages without cells in use, still backed by memory
  std::vector<void*> returned_;  // addresses of pages without memory: given back, or not used yet
  std::vector<void*> regions_;   // what was mapped, kRegionBytes each
};

/// For a class whose objects come from their thread's CellPool: `class Connection final : public
/// Pooled<Connection>`. The thread that made an object destroys it, or another thread after that one has
/// ended.
template <class Object>
class Pooled {
 public:
  static void* operator new(std::size_t) { return of_thread().take(); }
  static void operator delete(void* object) noexcept { CellPool::give_back(object); }

 private:
  friend Object;
  Pooled() = default;

  /// Ends with its thread, and the pool with it unless some of its cells are in use.
  struct OfThread {
    OfThread() = default;
    ~OfThread() {
      if (pool->cells_in_use() > 0) CellPool::outlive_thread(std::move(pool));
    }
    OfThread(const OfThread&) = delete;
    OfThread& operator=(const OfThread&) = delete;
    std::unique_ptr<CellPool> pool = std::make_unique<CellPool>(sizeof(Object));
  };

  static CellPool& of_thread() {
    static_assert(alignof(Object) <= 8 && sizeof(Object) % 8 == 0);
    static thread_local const OfThread of_thread;
    return *of_thread.pool;
  }
};

}  // namespace headgate
