#include "connection/gather.h"
#include "connection/phase.h"
#include "net/proxy_protocol.h"

namespace headgate {
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
  if (header->info.source) context.info.client = SourceAddress(*header->info.source);
  phase.received.erase(phase.received.begin(),
                       phase.received.begin() + static_cast<std::ptrdiff_t>(header->size_bytes));
  return admit(std::move(phase.received), context);
}

}  // namespace headgate
