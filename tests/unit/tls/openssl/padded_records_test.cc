#include <gtest/gtest.h>

#include "unit/tls/record/against_openssl.h"

namespace headgate {
namespace {

class AgainstPaddedRecords : public AgainstOpenssl {};
INSTANTIATE_TEST_SUITE_P(Suites, AgainstPaddedRecords, suites_and_roles(), name_of_suite);

TEST_P(AgainstPaddedRecords, ExchangesRandomTrafficWithKeyUpdates) {
  Tls13Pair::Options padded = options();
  padded.prepare_peer = [](SSL_CTX* context) { SSL_CTX_set_block_padding(context, 512); };
  exchange_random_traffic(padded);
}

}  // namespace
}  // namespace headgate
