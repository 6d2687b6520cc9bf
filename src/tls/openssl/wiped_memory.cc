#include "tls/library/wiped_memory.h"

#include <malloc.h>
#include <string.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <openssl/crypto.h>

namespace headgate {
namespace {

/// The C library's smallest block has less room than a key of 256 bits. A third of OpenSSL's blocks are as
/// small.
constexpr std::size_t kTooSmallForASecret = 24;
/// The blocks of these sizes are OpenSSL's buffers for records and for handshake messages: they hold what
/// goes over the network, and data, but no key. A handshake frees ten of them, which are three quarters of
/// all bytes that it frees.
constexpr std::size_t kSmallestBuffer = 16 * 1024, kLargestBuffer = 22 * 1024;

bool may_hold_a_secret(std::size_t size) {
  return size > kTooSmallForASecret && (size < kSmallestBuffer || size > kLargestBuffer);
}

void* allocate(std::size_t size, const char*, int) {
  return size == 0 ? nullptr : std::malloc(size);
}

void wipe_and_free(void* memory, const char*, int) {
  if (memory == nullptr) return;
  if (const std::size_t size = malloc_usable_size(memory); may_hold_a_secret(size))
    explicit_bzero(memory, size);
  std::free(memory);
}

// The C library's realloc() may move the block and leave the old one as it is.
void* reallocate(void* memory, std::size_t size, const char* file, int line) {
  if (memory == nullptr) return allocate(size, file, line);
  const std::size_t usable = size == 0 ? 0 : malloc_usable_size(memory);
  if (size != 0 && size <= usable && size >= usable / 2) return memory;
  void* moved = allocate(size, file, line);
  if (moved == nullptr && size != 0) return nullptr;
  if (moved != nullptr) std::memcpy(moved, memory, std::min(size, usable));
  wipe_and_free(memory, file, line);
  return moved;
}

}  // namespace

Result<void> wipe_freed_memory_of_openssl() {
  if (CRYPTO_set_mem_functions(allocate, reallocate, wipe_and_free) == 1) return {};
  return fail(ErrorKind::kSystem, "OpenSSL has memory already, which it would not wipe");
}

}  // namespace headgate
