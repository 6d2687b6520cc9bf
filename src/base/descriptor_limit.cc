#include "base/descriptor_limit.h"

#include <sys/resource.h>

namespace headgate {

std::uint64_t descriptor_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

}  // namespace headgate
