#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace headgate {

/// Memory for objects of one size that are many, live long, and are small beside what else is allocated
/// meanwhile: cells, packed into pages of their own.
///
/// From malloc() such objects lie between the much larger ones of handshakes that have gone, and the holes
/// around them cost half as much again as they do. And a page that has no cell in use goes back to the
/// system.
///
/// Made for one thread and used by it alone. Only when that thread has ended may one other thread give cells
/// back.
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

  /// The thread ends while cells are in use: whoever has them may give them back, and `pool` ends with the
  /// last of them.
  static void outlive_thread(std::unique_ptr<CellPool> pool);

  [[nodiscard]] std::size_t cells_in_use() const { return cells_in_use_; }
  /// What it has of the system now, the free pages that it keeps included.
  [[nodiscard]] std::size_t size_bytes() const { return (pages_in_use_ + spare_.size()) * kPageBytes; }

  /// Free pages are kept, so that coming and going costs no system call: so many, or one for so many in use.
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
  Page* with_room_ = nullptr;    // those that have cells in use and cells free
  std::vector<void*> spare_;     // pages without cells in use, still backed by memory
  std::vector<void*> returned_;  // addresses of pages whose memory the system has back, or never gave
  std::vector<void*> regions_;   // what was mapped, kRegionBytes each
};

/// For a class whose objects come from their thread's CellPool: `class Connection final : public
/// Pooled<Connection>`. An object is destroyed by the thread that made it, or when that has ended.
template <class Object>
class Pooled {
 public:
  static void* operator new(std::size_t) { return of_thread().take(); }
  static void operator delete(void* object) noexcept { CellPool::give_back(object); }

 private:
  friend Object;
  Pooled() = default;

  /// Ends with its thread; the pool does so unless objects of it are still there.
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
