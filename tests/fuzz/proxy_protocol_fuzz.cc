#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "net/private_link.h"
#include "net/proxy_protocol.h"

/// Whatever parses says how much of the input it took, and what it says can be said again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
  using namespace headgate;
  const auto input = std::as_bytes(std::span(data, size_bytes));
  const auto header = parse_proxy_header(input);
  if (!header) return 0;
  HG_CHECK(header->size_bytes > 0 && header->size_bytes <= input.size());
  HG_CHECK(header->size_bytes <= kMaxProxyHeaderBytes);
  const PrivateLink link = private_link(header->info.other_tlvs);
  HG_CHECK(link.aws_vpc_endpoint.empty() || is_vpc_endpoint(link.aws_vpc_endpoint));
  const auto prefix = parse_proxy_header(input.first(header->size_bytes - 1));
  HG_CHECK(!prefix && prefix.error().kind == ErrorKind::kIncomplete);
  for (const auto version : {ProxyVersion::kV1, ProxyVersion::kV2}) {
    const auto written = build_proxy_header(version, header->info);
    const auto again = parse_proxy_header(written);
    HG_CHECK(again && again->size_bytes == written.size());
  }
  return 0;
}
