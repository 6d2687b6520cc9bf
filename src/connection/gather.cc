#include "connection/gather.h"

#include <algorithm>

namespace headgate {

IoStatus gather(Stream& stream, std::vector<std::byte>& received, std::span<std::byte> room,
                std::size_t most_bytes) {
  if (received.size() >= most_bytes) return IoStatus::kDone;
  const ReadResult got = stream.read(room.first(std::min(room.size(), most_bytes - received.size())));
  if (got.status != IoStatus::kDone) return got.status;
  received.insert(received.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(got.size_bytes));
  return IoStatus::kDone;
}

}  // namespace headgate
