#include "base/cell_pool.h"

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "base/check.h"

namespace headgate {
namespace {

// The pool maps this much at once; the system gives memory page by page.
constexpr std::size_t kRegionBytes = 64 * CellPool::kPageBytes;

}  // namespace

/// A cell that is free.
struct CellPool::Cell {
  Cell* next;
};

/// The header of a page, in front of its cells. Cells from number `carved` on were never used.
struct CellPool::Page {
  CellPool* pool;
  Cell* free = nullptr;
  Page* before = nullptr;
  Page* behind = nullptr;
  std::uint32_t in_use = 0;
  std::uint32_t carved = 0;

  static Page& of(void* cell) {
    return *reinterpret_cast<Page*>(reinterpret_cast<std::uintptr_t>(cell) & ~(kPageBytes - 1));
  }
  [[nodiscard]] char* cell(std::size_t number, std::size_t cell_bytes) {
    return reinterpret_cast<char*>(this) + kHeaderBytes + number * cell_bytes;
  }
};

CellPool::CellPool(std::size_t cell_bytes) : cell_bytes_(cell_bytes) {
  static_assert(sizeof(Page) <= kHeaderBytes);
  HG_CHECK(cell_bytes % alignof(Cell) == 0 && cells_per_page(cell_bytes) > 0);
}

CellPool::~CellPool() {
  HG_CHECK(cells_in_use_ == 0);
  for (void* region : regions_) {
    ASAN_UNPOISON_MEMORY_REGION(region, kRegionBytes);
    ::munmap(region, kRegionBytes);
  }
}

void* CellPool::take() {
  Page& page = with_room_ != nullptr ? *with_room_ : fresh_page();
  void* cell = page.free;
  if (cell == nullptr) cell = page.cell(page.carved++, cell_bytes_);
  ASAN_UNPOISON_MEMORY_REGION(cell, cell_bytes_);
  if (page.free != nullptr) page.free = page.free->next;
  ++cells_in_use_;
  if (++page.in_use == cells_per_page(cell_bytes_)) unlink(page);
  return cell;
}

void CellPool::give_back(void* cell) noexcept {
  if (cell == nullptr) return;
  Page& page = Page::of(cell);
  page.pool->put(page, cell);
}

void CellPool::outlive_thread(std::unique_ptr<CellPool> pool) {
  CellPool& kept = *pool;
  kept.itself_ = std::move(pool);
}

void CellPool::put(Page& page, void* cell) {
  const bool is_owner = itself_ != nullptr || pthread_equal(owner_, pthread_self()) != 0;
  HG_CHECK(is_owner);
  page.free = new (cell) Cell{page.free};
  ASAN_POISON_MEMORY_REGION(cell, cell_bytes_);
  --cells_in_use_;
  if (page.in_use-- == cells_per_page(cell_bytes_)) link(page);
  if (page.in_use == 0) retire(page);
  if (itself_ && cells_in_use_ == 0) const std::unique_ptr<CellPool> ends_here = std::move(itself_);
}

// Pages that still have memory come first, so that a count of cells that moves around the edge of a page
// costs no system call.
CellPool::Page& CellPool::fresh_page() {
  if (spare_.empty() && returned_.empty()) map_region();
  std::vector<void*>& from = spare_.empty() ? returned_ : spare_;
  auto* page = new (from.back()) Page{this};
  from.pop_back();
  ASAN_POISON_MEMORY_REGION(page->cell(0, cell_bytes_), kPageBytes - kHeaderBytes);
  ++pages_in_use_;
  link(*page);
  return *page;
}

void CellPool::map_region() {
  void* region = ::mmap(nullptr, kRegionBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (region == MAP_FAILED) throw std::bad_alloc();
  regions_.push_back(region);
  // Giving a cell back must not fail, so both lists have room for every page.
  spare_.reserve(regions_.size() * (kRegionBytes / kPageBytes));
  returned_.reserve(regions_.size() * (kRegionBytes / kPageBytes));
  for (std::size_t at = kRegionBytes; at > 0; at -= kPageBytes)
    returned_.push_back(static_cast<char*>(region) + at - kPageBytes);
}

void CellPool::retire(Page& page) {
  unlink(page);
  --pages_in_use_;
  ASAN_UNPOISON_MEMORY_REGION(&page, kPageBytes);
  spare_.push_back(&page);
  return_spare_pages();
}

// madvise() refuses where the system's pages are larger than ours; the memory then stays.
void CellPool::return_spare_pages() {
  const std::size_t kept = std::max(kSparePages, pages_in_use_ / kSpareShare);
  while (spare_.size() > kept && ::madvise(spare_.back(), kPageBytes, MADV_DONTNEED) == 0) {
    returned_.push_back(spare_.back());
    spare_.pop_back();
  }
}

void CellPool::link(Page& page) {
  page.before = nullptr;
  page.behind = with_room_;
  if (with_room_ != nullptr) with_room_->before = &page;
  with_room_ = &page;
}

void CellPool::unlink(Page& page) {
  (page.before != nullptr ? page.before->behind : with_room_) = page.behind;
  if (page.behind != nullptr) page.behind->before = page.before;
  page.before = page.behind = nullptr;
}

}  // namespace headgate
