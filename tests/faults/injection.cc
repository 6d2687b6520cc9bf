#include "faults/injection.h"

#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include <openssl/crypto.h>

namespace headgate::test {
namespace {

constexpr std::size_t kMostDescriptors = 4096;

std::atomic<bool> active{false};
std::atomic<bool> struck{false};
FaultPlan plan_in_force;
std::array<std::atomic<std::uint64_t>, kCallCount> call_counts{};
/// The descriptors that were made since the plan began.
std::array<std::atomic<bool>, kMostDescriptors> of_this_life{};
/// Whether the thread is one of a worker's: it has called itself so.
thread_local bool of_a_worker = false;

bool is_due(Call call) {
  if (!of_a_worker || !active.load(std::memory_order_acquire)) return false;
  const std::uint64_t number = call_counts[static_cast<std::size_t>(call)].fetch_add(1) + 1;
  if (call != plan_in_force.call || (plan_in_force.nth != kEach && plan_in_force.nth != number)) return false;
  struck = true;
  return true;
}

bool is_watched(int fd) {
  return fd >= 0 && static_cast<std::size_t>(fd) < kMostDescriptors &&
         of_this_life[static_cast<std::size_t>(fd)].load(std::memory_order_relaxed);
}

int made(int fd) {
  if (fd >= 0 && of_a_worker && active.load(std::memory_order_acquire) &&
      static_cast<std::size_t>(fd) < kMostDescriptors) {
    of_this_life[static_cast<std::size_t>(fd)] = true;
  }
  return fd;
}

int failed() {
  errno = plan_in_force.error;
  return -1;
}

/// What a call that moves bytes does: fail, move one byte, or go on.
enum class Verdict : std::uint8_t { kGoOn, kOneByte, kFail };
Verdict verdict(Call call, int fd) {
  if (!is_watched(fd) || !is_due(call)) return Verdict::kGoOn;
  return plan_in_force.error == kOneByte ? Verdict::kOneByte : Verdict::kFail;
}

void* take_memory(std::size_t size_bytes) {
  return is_due(Call::kNew) ? nullptr : std::malloc(size_bytes == 0 ? 1 : size_bytes);
}

/// OpenSSL 3.0 copies a name to look it up among the names of algorithms. Where it gets no memory for the
/// copy, it takes the name for a new one, puts a second entry in place of the first, and never frees the
/// first. That is its leak and not ours, and OpenSSL 3.5 makes no copy.
bool asks_for_an_algorithms_name(const char* file) {
  return file != nullptr && std::string_view(file).ends_with("core_namemap.c");
}

void* openssl_malloc(std::size_t size_bytes, const char* file, int) {
  if (size_bytes == 0) return nullptr;
  if (asks_for_an_algorithms_name(file)) return std::malloc(size_bytes);
  return is_due(Call::kOpensslMemory) ? nullptr : std::malloc(size_bytes);
}
void* openssl_realloc(void* memory, std::size_t size_bytes, const char*, int) {
  if (size_bytes == 0) {
    std::free(memory);
    return nullptr;
  }
  return is_due(Call::kOpensslMemory) ? nullptr : std::realloc(memory, size_bytes);
}
void openssl_free(void* memory, const char*, int) {
  std::free(memory);
}

/// OpenSSL takes other functions only before it has asked for memory.
[[gnu::constructor]] void replace_openssl_memory() {
  if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) std::abort();
}

using CreateThread = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
/// clang's sanitizers are part of the program, and keep their own definition under this name.
extern "C" [[gnu::weak]] CreateThread sanitizers_pthread_create __asm__("__interceptor_pthread_create");

/// The definition that the program would use without ours.
template <class Function>
Function* next_definition(const char* symbol) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, symbol));
}

}  // namespace

std::string_view name(Call call) {
  static constexpr std::array<std::string_view, kCallCount> kNames{
      "none",   "accept4",   "recv",           "recvmsg",      "send",        "socket",
      "splice", "pipe2",     "connect",        "setsockopt",   "getsockname", "shutdown",
      "poll",   "epoll_ctl", "pthread_create", "operator new", "OpenSSL"};
  return kNames[static_cast<std::size_t>(call)];
}

void begin_faults(const FaultPlan& plan) {
  for (auto& count : call_counts) count = 0;
  for (auto& one : of_this_life) one = false;
  struck = false;
  plan_in_force = plan;
  active.store(true, std::memory_order_release);
}

bool end_faults() {
  active.store(false, std::memory_order_release);
  return struck;
}

std::uint64_t calls_made(Call call) {
  return call_counts[static_cast<std::size_t>(call)];
}

}  // namespace headgate::test

// The functions of the C library.

using headgate::test::Call;
using headgate::test::failed;
using headgate::test::is_due;
using headgate::test::is_watched;
using headgate::test::made;
using headgate::test::next_definition;
using headgate::test::Verdict;
using headgate::test::verdict;

extern "C" {

int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  using Function = int(int, sockaddr*, socklen_t*, int);
  static auto* const real = next_definition<Function>("accept4");
  return is_due(Call::kAccept) ? failed() : made(real(fd, address, size, flags));
}

ssize_t recv(int fd, void* into, std::size_t size, int flags) {
  using Function = ssize_t(int, void*, std::size_t, int);
  static auto* const real = next_definition<Function>("recv");
  const Verdict what = verdict(Call::kRecv, fd);
  if (what == Verdict::kFail) return failed();
  return real(fd, into, what == Verdict::kOneByte ? 1 : size, flags);
}

ssize_t splice(int from, off64_t* from_offset, int to, off64_t* to_offset, std::size_t size, unsigned flags) {
  using Function = ssize_t(int, off64_t*, int, off64_t*, std::size_t, unsigned);
  static auto* const real = next_definition<Function>("splice");
  const Verdict what = verdict(Call::kSplice, is_watched(from) ? from : to);  // the other one is a pipe
  if (what == Verdict::kFail) return failed();
  return real(from, from_offset, to, to_offset, what == Verdict::kOneByte ? 1 : size, flags);
}

int pipe2(int* ends, int flags) {
  using Function = int(int*, int);
  static auto* const real = next_definition<Function>("pipe2");
  return is_due(Call::kPipe) ? failed() : real(ends, flags);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  using Function = ssize_t(int, msghdr*, int);
  static auto* const real = next_definition<Function>("recvmsg");
  const Verdict what = verdict(Call::kRecvmsg, fd);
  if (what == Verdict::kFail) return failed();
  if (what == Verdict::kGoOn) return real(fd, message, flags);
  iovec one{message->msg_iov[0].iov_base, 1};
  msghdr shorter{};
  shorter.msg_iov = &one;
  shorter.msg_iovlen = 1;
  return real(fd, &shorter, flags);
}

ssize_t send(int fd, const void* from, std::size_t size, int flags) {
  using Function = ssize_t(int, const void*, std::size_t, int);
  static auto* const real = next_definition<Function>("send");
  const Verdict what = verdict(Call::kSend, fd);
  if (what == Verdict::kFail) return failed();
  return real(fd, from, what == Verdict::kOneByte ? 1 : size, flags);
}

int socket(int domain, int type, int protocol) noexcept {
  using Function = int(int, int, int);
  static auto* const real = next_definition<Function>("socket");
  return is_due(Call::kSocket) ? failed() : made(real(domain, type, protocol));
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  using Function = int(int, const sockaddr*, socklen_t);
  static auto* const real = next_definition<Function>("connect");
  return is_watched(fd) && is_due(Call::kConnect) ? failed() : real(fd, address, size);
}

int setsockopt(int fd, int level, int option, const void* value, socklen_t size) noexcept {
  using Function = int(int, int, int, const void*, socklen_t);
  static auto* const real = next_definition<Function>("setsockopt");
  return is_watched(fd) && is_due(Call::kSetsockopt) ? failed() : real(fd, level, option, value, size);
}

int getsockname(int fd, sockaddr* address, socklen_t* size) noexcept {
  using Function = int(int, sockaddr*, socklen_t*);
  static auto* const real = next_definition<Function>("getsockname");
  return is_watched(fd) && is_due(Call::kGetsockname) ? failed() : real(fd, address, size);
}

int shutdown(int fd, int how) noexcept {
  using Function = int(int, int);
  static auto* const real = next_definition<Function>("shutdown");
  return is_watched(fd) && is_due(Call::kShutdown) ? failed() : real(fd, how);
}

int poll(pollfd* watched, nfds_t count, int timeout_ms) {
  using Function = int(pollfd*, nfds_t, int);
  static auto* const real = next_definition<Function>("poll");
  return is_due(Call::kPoll) ? failed() : real(watched, count, timeout_ms);
}

int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  using Function = int(int, int, int, epoll_event*);
  static auto* const real = next_definition<Function>("epoll_ctl");
  return is_watched(fd) && is_due(Call::kEpollCtl) ? failed() : real(epoll, operation, fd, event);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  using headgate::test::sanitizers_pthread_create;
  if (is_due(Call::kThread)) return headgate::test::plan_in_force.error;
  static auto* const real = sanitizers_pthread_create != nullptr
                                ? sanitizers_pthread_create
                                : next_definition<headgate::test::CreateThread>("pthread_create");
  return real(thread, attributes, start, argument);
}

int pthread_setname_np(pthread_t thread, const char* name) noexcept {
  using Function = int(pthread_t, const char*);
  static auto* const real = next_definition<Function>("pthread_setname_np");
  headgate::test::of_a_worker = std::strncmp(name, "worker-", 7) == 0;
  return real(thread, name);
}

}  // extern "C"

// Not inline: a compiler that sees free() behind `new` warns of a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size_bytes) {
  if (void* memory = headgate::test::take_memory(size_bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t size_bytes) {
  return ::operator new(size_bytes);
}
[[gnu::noinline]] void* operator new(std::size_t size_bytes, const std::nothrow_t&) noexcept {
  return headgate::test::take_memory(size_bytes);
}
[[gnu::noinline]] void* operator new[](std::size_t size_bytes, const std::nothrow_t&) noexcept {
  return headgate::test::take_memory(size_bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
