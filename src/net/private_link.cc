#include "net/private_link.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "net/proxy_format.h"

namespace headgate {
namespace {

constexpr std::uint8_t kTlvGcp = 0xE0;
constexpr std::uint8_t kTlvAws = 0xEA;
constexpr std::uint8_t kTlvAzure = 0xEE;
/// PP2_SUBTYPE_AWS_VPCE_ID and PP2_SUBTYPE_AZURE_PRIVATEENDPOINT_LINKID.
constexpr char kSubtype = 0x01;

std::uint64_t number_from(std::string_view big_endian) {
  std::uint64_t number = 0;
  for (const char byte : big_endian) number = number << 8U | static_cast<std::uint8_t>(byte);
  return number;
}

void take_first(std::string& to, std::string text) {
  if (to.empty()) to = std::move(text);
}

void read_link_tlv(std::uint8_t type, std::string_view value, PrivateLink& link) {
  const bool has_subtype = value.starts_with(kSubtype);
  if (type == kTlvAws && has_subtype && is_vpc_endpoint(value.substr(1)))
    take_first(link.aws_vpc_endpoint, std::string(value.substr(1)));
  if (type == kTlvAzure && has_subtype && value.size() == 5) {
    const std::string big_endian(value.rbegin(), value.rend() - 1);
    take_first(link.azure_private_link, std::to_string(number_from(big_endian)));
  }
  if (type == kTlvGcp && value.size() == 8)
    take_first(link.gcp_psc_connection, std::to_string(number_from(value)));
}

}  // namespace

bool is_vpc_endpoint(std::string_view text) {
  constexpr std::string_view kPrefix = "vpce-";
  return text.starts_with(kPrefix) && text.size() > kPrefix.size() && text.size() <= kMaxVpcEndpointBytes &&
         std::ranges::all_of(
             text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

PrivateLink private_link(std::string_view tlvs) {
  using namespace proxy_format;
  PrivateLink link;
  for (auto tlv = take_whole_tlv(tlvs); !tlv.empty(); tlv = take_whole_tlv(tlvs))
    read_link_tlv(static_cast<std::uint8_t>(tlv[0]), tlv.substr(kTlvHeadBytes), link);
  return link;
}

}  // namespace headgate
