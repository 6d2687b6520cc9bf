#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace headgate {

/// A text that begins so names a service, where a host could be named.
inline constexpr std::string_view kServicePrefix = "srv:";

/// Where a service is, by one SRV record (RFC 2782).
struct ServiceTarget {
  std::string host;  ///< Without the root's dot.
  std::uint16_t port = 0;
  std::uint16_t priority = 0;
  /// At least 1: the weights of the records, so scaled that a weight of 0 among others is a very small one.
  std::uint32_t weight = 1;
  bool operator==(const ServiceTarget&) const = default;
};

struct ServiceRecords {
  std::vector<ServiceTarget> targets;  ///< By priority; at least one, at most kMaxServiceTargets.
  std::chrono::seconds ttl{0};         ///< The shortest of theirs.
};

/// Each target is a lookup of its own, so a name server may not name any number of them. Those of the lowest
/// priorities stay.
inline constexpr std::size_t kMaxServiceTargets = 64;

/// Reads the SRV records of a name server's answer, a whole DNS message. Records whose target is no host
/// name, or whose port is 0, are skipped. Pure; any thread. Errors: kMalformed for an answer that is cut or
/// damaged; kNotFound where no usable record is left, or where the answer says that there is no such service
/// (a target of ".").
[[nodiscard]] Result<ServiceRecords> parse_service_records(std::span<const std::byte> answer);

}  // namespace headgate
