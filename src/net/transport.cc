#include "net/transport.h"

#include "net/plain_stream.h"
#include "net/socket.h"

namespace headgate {

std::unique_ptr<Stream> SocketTransport::unread(std::unique_ptr<Stream> plain,
                                                std::vector<std::byte> received) {
  return std::make_unique<PlainStream>(plain->release_descriptor(), std::move(received));
}

IoStatus SocketTransport::discard(Stream& client, std::span<std::byte> room) {
  return receive_some(client.descriptor(), room).status;
}

tl::expected<std::unique_ptr<Stream>, int> SocketTransport::dial(const Address& address, const OwnEnd& from) {
  auto connecting = start_connect(address, from);
  if (!connecting) return tl::unexpected<int>(connecting.error());
  return std::make_unique<PlainStream>(*std::move(connecting));
}

}  // namespace headgate
