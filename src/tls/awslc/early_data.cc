#include "tls/library/early_data.h"

namespace headgate {

// AWS-LC skips up to 16 KiB of a client's early data by itself, also behind a HelloRetryRequest, and accepts
// none unless it is told to.
void skip_early_data(SSL_CTX*) {}

bool skip_early_data_after_retry(SSL*) {
  return true;
}

void end_skipping_early_data(SSL*) {}

}  // namespace headgate
