#include "tls/library/wiped_memory.h"

namespace headgate {

// AWS-LC wipes each block that it frees.
Result<void> wipe_freed_memory_of_openssl() {
  return {};
}

}  // namespace headgate
