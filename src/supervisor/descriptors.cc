#include "supervisor/descriptors.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "base/descriptor_limit.h"
#include "net/fd.h"

namespace headgate {
namespace {

// The kernel makes room for `number` and all below it.
bool make_room_for(int number) {
  const Fd any(::eventfd(0, EFD_CLOEXEC));
  return any && Fd(::fcntl(any.number(), F_DUPFD_CLOEXEC, number));
}

int at_most_the_limit(int descriptors) {
  return static_cast<int>(
      std::min<std::uint64_t>(static_cast<std::uint64_t>(descriptors), descriptor_limit()));
}

}  // namespace

Result<std::uint64_t> raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return fail_errno("cannot read the limit of open files", errno);
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (before != limit.rlim_max && ::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return fail_errno("cannot raise the limit of open files from " + std::to_string(before) + " to " +
                          std::to_string(limit.rlim_max),
                      errno);
  }
  return limit.rlim_cur;
}

void DescriptorTable::make(int size) {
  size_ = at_most_the_limit(size);
  make_room_for(size_ - 1);
}

// A new descriptor has the lowest free number, which tells how many are in use.
void DescriptorTable::grow_ahead() {
  if (const Fd lowest(::eventfd(0, EFD_CLOEXEC)); lowest.number() < size_ / 2) return;
  const int wanted = at_most_the_limit(size_ * 2);
  if (wanted > size_ && make_room_for(wanted - 1)) size_ = wanted;
}

}  // namespace headgate
