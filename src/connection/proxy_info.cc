#include "connection/proxy_info.h"

#include "net/proxy_protocol.h"
#include "net/socket.h"

namespace headgate {

std::vector<std::byte> proxy_header_for(const config::Backend& backend, const ConnectionInfo& info,
                                        int client_descriptor) {
  ProxyFacts told;
  const Address source = info.client.address();
  if (!source.is_unix()) {
    told.source = source;
    told.destination = local_address(client_descriptor);
  }
  told.alpn = info.alpn.view();
  told.authority = info.server_name.view();
  if (!info.tls->version.empty()) {
    ProxyTls tls;
    tls.version = info.tls->version.view();
    tls.cipher = info.tls->cipher.view();
    tls.key_algorithm = info.tls->key_type.view();
    if (info.peer) {
      tls.certificate_this_connection = !info.tls->resumed;
      tls.certificate_this_session = true;
      tls.verified = true;
      tls.common_name = info.peer->common_name;
    }
    told.tls = std::move(tls);
  }
  const bool v1 = backend.send_proxy == config::SendProxy::kV1;
  return build_proxy_header(v1 ? ProxyVersion::kV1 : ProxyVersion::kV2, told);
}

}  // namespace headgate
