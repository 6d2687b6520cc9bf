#include "connection/phase.h"
#include "net/gather.h"
#include "net/proxy_protocol.h"

namespace headgate {
namespace {

bool says_more_than_addresses(const ProxyFacts& facts) {
  return !facts.alpn.empty() || !facts.authority.empty() || !facts.unique_id.empty() || facts.tls ||
         !facts.other_tlvs.empty();
}

void count_proxy_header(const ProxyHeader& header, const PrivateLink* link, ListenerMetrics& metrics) {
  const auto add = [&](ProxyHeaderKind kind) { metrics.proxy_headers[static_cast<std::size_t>(kind)].add(); };
  if (header.command == ProxyCommand::kLocal) return add(ProxyHeaderKind::kLocal);
  if (header.version == ProxyVersion::kV1) return add(ProxyHeaderKind::kV1);
  if (link == nullptr || link->empty()) return add(ProxyHeaderKind::kV2);
  if (!link->aws_vpc_endpoint.empty()) add(ProxyHeaderKind::kAwsVpcEndpoint);
  if (!link->azure_private_link.empty()) add(ProxyHeaderKind::kAzurePrivateLink);
  if (!link->gcp_psc_connection.empty()) add(ProxyHeaderKind::kGcpPscConnection);
}

void keep_proxy_facts(ProxyHeader header, Context& context) {
  ConnectionInfo& info = context.info;
  if (header.info.source) info.client = SourceAddress(*header.info.source);
  if (says_more_than_addresses(header.info)) {
    ProxiedFacts& proxied = *(info.made_facts().proxied = std::make_unique<ProxiedFacts>());
    proxied.link = private_link(header.info.other_tlvs);
    proxied.unique_id = header.info.unique_id;
    proxied.to_pass_on = std::make_unique<ProxyFacts>(std::move(header.info));
  }
  count_proxy_header(header, info.link(), *context.listener.metrics);
}

}  // namespace

Step step(ProxyIn& phase, Context& context) {
  const IoStatus status =
      gather(*context.sides.client, phase.received, context.services.buffers.plaintext, kMaxProxyHeaderBytes);
  if (status == IoStatus::kWantRead) return await_more(phase.received, phase.held, context);
  if (status != IoStatus::kDone) {
    return Close{phase.received.empty() ? CloseReason::kProbe : CloseReason::kProxyHeaderMalformed};
  }
  auto header = parse_proxy_header(phase.received);
  if (!header && header.error().kind == ErrorKind::kIncomplete &&
      phase.received.size() < kMaxProxyHeaderBytes) {
    return await_more(phase.received, phase.held, context);
  }
  if (!header) {
    context.info.detail = header.error().what;
    return Close{CloseReason::kProxyHeaderMalformed};
  }
  phase.received.erase(phase.received.begin(),
                       phase.received.begin() + static_cast<std::ptrdiff_t>(header->size_bytes));
  keep_proxy_facts(*std::move(header), context);
  return admit(std::move(phase.received), context);
}

}  // namespace headgate
