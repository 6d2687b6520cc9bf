#include "connection/proxy_info.h"

#include <random>
#include <string>
#include <string_view>

#include "net/proxy_protocol.h"
#include "net/socket.h"

namespace headgate {
namespace {

/// Ids of connections begin anew in each process, so a number of the process stands before them.
std::string unique_id(std::uint64_t connection) {
  static const std::string process = [] {
    std::random_device random;
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string digits;
    for (int i = 0; i < 16; ++i) digits += kDigits[random() % kDigits.size()];
    return digits;
  }();
  return process + '-' + std::to_string(connection);
}

}  // namespace

std::vector<std::byte> proxy_header_for(const config::Backend& backend, const ConnectionInfo& info,
                                        int client_descriptor) {
  // What the header of a proxy before us said holds where Headgate itself has nothing to say.
  const bool proxied = info.proxied() != nullptr && info.proxied()->to_pass_on;
  ProxyFacts told = proxied ? *info.proxied()->to_pass_on : ProxyFacts();
  const Address source = info.client.address();
  told.source = source;
  told.destination = local_address(client_descriptor);
  if (told.unique_id.empty()) told.unique_id = unique_id(info.id);
  if (!info.alpn.empty()) told.alpn = info.alpn.view();
  if (!info.server_name.empty()) told.authority = info.server_name.view();
  if (!info.tls->version.empty()) {
    ProxyTls tls;
    tls.version = info.tls->version.view();
    tls.cipher = info.tls->openssl_cipher.view();
    tls.key_algorithm = info.tls->key_algorithm.view();
    tls.signature_algorithm = info.tls->certificate_signature.view();
    tls.signature_scheme = info.tls->signature_scheme.view();
    tls.group = info.tls->group.view();
    if (info.peer) {
      tls.certificate_this_connection = !info.tls->resumed;
      tls.certificate_this_session = true;
      tls.verified = true;
      tls.common_name = info.peer->common_name;
      if (backend.send_client_certificate) tls.certificate_der = info.peer->certificate_der;
    }
    told.tls = std::move(tls);
  }
  const bool v1 = backend.send_proxy == config::SendProxy::kV1;
  return build_proxy_header(v1 ? ProxyVersion::kV1 : ProxyVersion::kV2, told);
}

}  // namespace headgate
