#pragma once

#include "tls/library/library_context.h"

namespace headgate::test {

/// Whether this program is built on AWS-LC, and not on OpenSSL.
[[nodiscard]] inline bool is_on_awslc() {
  return LibraryContext::version().starts_with("AWS-LC");
}

}  // namespace headgate::test
