#pragma once

#include <random>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "tls/record/record_stream.h"
#include "unit/tls/record/record_bytes.h"
#include "unit/tls/tls13_pair.h"

namespace headgate {

/// A RecordStream, in both roles and with every suite, and an SSL at the other end.
class AgainstOpenssl : public testing::TestWithParam<std::tuple<RecordSuite, TlsRole>> {
 protected:
  [[nodiscard]] Tls13Pair::Options options() const {
    return {.suite = std::get<RecordSuite>(GetParam()), .our_role = std::get<TlsRole>(GetParam())};
  }
  ByteVector random_bytes(std::size_t size) {
    ByteVector bytes(size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_() & 0xff);
    return bytes;
  }
  std::size_t random_below(std::size_t bound) { return random_() % bound; }

  /// Reads into spans of `room_bytes`; returns all bytes that `stream` can read now.
  ByteVector read_all(RecordStream& stream, std::size_t room_bytes = kMaxWriteBytes) {
    ByteVector all;
    ByteVector into(room_bytes);
    for (;;) {
      const ReadResult result = stream.read(into);
      if (result.status != IoStatus::kDone) return all;
      append(all, std::span(into).first(result.size_bytes));
    }
  }

  /// Random bytes in both directions, with updates of the keys.
  void exchange_random_traffic(const Tls13Pair::Options& kind) {
    Tls13Pair pair(kind);
    RecordStream stream(std::move(pair.state), worker_.buffers, worker_.contexts);
    for (int round = 0; round < 150; ++round) {
      const bool large = random_below(4) == 0;
      ByteVector from_peer;
      for (std::size_t part = random_below(3); part > 0; --part) {
        const ByteVector bytes = random_bytes(random_below(large ? 16385 : 600));
        pair.peer_writes(bytes);
        append(from_peer, bytes);
        if (random_below(5) == 0) {
          pair.peer_updates_keys(random_below(2) == 0 ? KeyUpdateRequest::kRequested
                                                      : KeyUpdateRequest::kNotRequested);
        }
      }
      ASSERT_EQ(read_all(stream, kMaxRecordContentBytes + random_below(50'000)), from_peer) << round;
      const ByteVector from_us = random_bytes(random_below(large ? 100'000 : 600));
      ASSERT_EQ(stream.write(from_us), IoStatus::kDone);
      ASSERT_EQ(pair.peer_reads(), from_us) << round;
    }
  }

  TestWorker worker_;
  std::mt19937 random_{20'261'122};
};

/// Every suite in both roles.
inline auto suites_and_roles() {
  return testing::Combine(testing::ValuesIn(kAllSuites), testing::Values(TlsRole::kServer, TlsRole::kClient));
}
inline std::string name_of_suite(const testing::TestParamInfo<std::tuple<RecordSuite, TlsRole>>& suite) {
  const char* role = std::get<TlsRole>(suite.param) == TlsRole::kServer ? "Server" : "Client";
  return role + std::to_string(row(std::get<RecordSuite>(suite.param)).number);
}

}  // namespace headgate
