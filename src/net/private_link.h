#pragma once

#include <string>
#include <string_view>

namespace headgate {

/// The private link of a cloud by which a client came, as the cloud's balancer names it in the PROXY header.
/// Each text is empty where the header does not name such a link. A value.
struct PrivateLink {
  std::string aws_vpc_endpoint;    ///< "vpce-0123456789abcdef0"
  std::string azure_private_link;  ///< LINKID, a number of 32 bits: "33554439"
  std::string gcp_psc_connection;  ///< pscConnectionId, a number of 64 bits: "18446744073709551615"

  [[nodiscard]] bool empty() const {
    return aws_vpc_endpoint.empty() && azure_private_link.empty() && gcp_psc_connection.empty();
  }
  bool operator==(const PrivateLink&) const = default;
};

/// The longest id of an endpoint of AWS that is taken for one.
inline constexpr std::size_t kMaxVpcEndpointBytes = 64;
/// Whether `text` is an endpoint's id: "vpce-" and letters in lower case, digits and hyphens.
[[nodiscard]] bool is_vpc_endpoint(std::string_view text);

/// The private link that `tlvs`, one behind the other as in a PROXY header, name; of several of a kind the
/// first. The types are free for any use (PROXY protocol, section 2.2.7), so a TLV that does not have the
/// form of such a name exactly is none, and no error. Pure; any thread.
///
///   AWS    0xEA: 0x01, then the endpoint's id in ASCII
///   Azure  0xEE: 0x01, then the LINKID in 4 bytes, little-endian
///   GCP    0xE0: the pscConnectionId in 8 bytes, big-endian
[[nodiscard]] PrivateLink private_link(std::string_view tlvs);

}  // namespace headgate
