#include "net/gather.h"

#include <algorithm>

namespace headgate {
namespace {

// The buffer grows by halves, so that a client that sends single bytes does not make us copy them each time.
// The standard library doubles a buffer, also beyond `most_bytes`.
void make_room(std::vector<std::byte>& received, std::size_t size_bytes, std::size_t most_bytes) {
  if (size_bytes <= received.capacity()) return;
  received.reserve(std::min(most_bytes, std::max(size_bytes, received.capacity() + received.capacity() / 2)));
}

}  // namespace

IoStatus gather(Stream& stream, std::vector<std::byte>& received, std::span<std::byte> room,
                std::size_t most_bytes) {
  if (received.size() >= most_bytes) return IoStatus::kDone;
  const ReadResult got = stream.read(room.first(std::min(room.size(), most_bytes - received.size())));
  if (got.status != IoStatus::kDone) return got.status;
  make_room(received, received.size() + got.size_bytes, most_bytes);
  received.insert(received.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(got.size_bytes));
  return IoStatus::kDone;
}

}  // namespace headgate
