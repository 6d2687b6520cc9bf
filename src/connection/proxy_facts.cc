#include "connection/proxy_facts.h"

#include "net/proxy_protocol.h"
#include "net/socket.h"

namespace headgate {

std::vector<std::byte> proxy_header_for(const config::Backend& backend, const Facts& facts,
                                        int client_descriptor) {
  ProxyFacts told;
  const Address source = facts.client.address();
  if (!source.is_unix()) {
    told.source = source;
    told.destination = local_address(client_descriptor);
  }
  told.alpn = facts.alpn.view();
  told.authority = facts.server_name.view();
  if (!facts.tls->version.empty()) {
    ProxyTls tls;
    tls.version = facts.tls->version.view();
    tls.cipher = facts.tls->cipher.view();
    tls.key_algorithm = facts.tls->key_type.view();
    if (facts.peer) {
      tls.certificate_this_connection = !facts.tls->resumed;
      tls.certificate_this_session = true;
      tls.verified = true;
      tls.common_name = facts.peer->common_name;
    }
    told.tls = std::move(tls);
  }
  const bool v1 = backend.send_proxy == config::SendProxy::kV1;
  return build_proxy_header(v1 ? ProxyVersion::kV1 : ProxyVersion::kV2, told);
}

}  // namespace headgate
