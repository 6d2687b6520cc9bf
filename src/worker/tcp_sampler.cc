#include "worker/tcp_sampler.h"

#include <algorithm>
#include <variant>

#include "net/tcp_state.h"

namespace headgate {
namespace {

void look_at(int descriptor, Peer peer, ListenerMetrics& metrics) {
  const auto state = tcp_state(descriptor);
  if (!state) return;
  const auto index = static_cast<std::size_t>(peer);
  // Before the first answer there is no round trip to measure.
  if (state->rtt.count() > 0) metrics.tcp_rtt[index].observe(state->rtt);
  metrics.tcp_retransmits[index].observe(std::uint64_t{state->retransmits});
}

}  // namespace

void TcpSampler::sample(const std::vector<std::unique_ptr<Connection>>& connections) {
  const std::size_t count = std::min(connections.size(), kConnectionsAtOnce);
  for (std::size_t i = 0; i < count; ++i, ++next_) {
    if (next_ >= connections.size()) next_ = 0;
    const Connection& connection = *connections[next_];
    if (connection.is_buried() || !std::holds_alternative<Relay>(connection.phase())) continue;
    const PhaseDescriptors sockets = connection.descriptors();
    look_at(sockets.client, Peer::kClient, *connection.listener().metrics);
    look_at(sockets.backend, Peer::kBackend, *connection.listener().metrics);
  }
}

}  // namespace headgate
