#pragma once

#include <cstdint>

namespace headgate {

/// How many descriptors this process may have open: the soft limit of getrlimit(2). 0 when it cannot be read.
/// Any thread.
[[nodiscard]] std::uint64_t descriptor_limit();

}  // namespace headgate
