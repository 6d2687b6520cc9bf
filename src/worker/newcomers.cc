#include "worker/newcomers.h"

#include <algorithm>

#include "connection/connection.h"

namespace headgate {

void Newcomers::push(Connection& connection) {
  if (connection.turn_due) return;
  ready_.push_back(&connection);
  connection.turn_due = true;  // there was memory for it
}

void Newcomers::remove(Connection& connection) {
  if (connection.turn_due) std::ranges::replace(ready_, &connection, nullptr);
}

void Newcomers::push(Acceptor& acceptor) {
  if (std::ranges::find(sockets_, &acceptor) == sockets_.end()) sockets_.push_back(&acceptor);
}

void Newcomers::remove(const Acceptor& acceptor) {
  std::erase(sockets_, &acceptor);
}

void Newcomers::serve(Duration slice) {
  serve_ready(slice);
  accept(slice);
}

// Those that are left are not watched until they have had their turn: the loop would find them ready again
// and again.
void Newcomers::serve_ready(Duration slice) {
  if (ready_.empty()) return;
  const TimePoint end = Clock::now() + slice;
  std::size_t served = 0;
  do {
    Connection* connection = ready_[served++];
    if (connection == nullptr) continue;
    connection->turn_due = false;
    if (!connection->is_buried()) connection->take_turn();
  } while (served < ready_.size() && Clock::now() < end);
  ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(served));
  paused_ -= std::min(paused_, served);
  for (; paused_ < ready_.size(); ++paused_) {
    Connection* connection = ready_[paused_];
    if (connection != nullptr && !connection->is_buried()) connection->wait_for_turn();
  }
}

void Newcomers::accept(Duration slice) {
  if (sockets_.empty()) return;
  const TimePoint end = Clock::now() + slice;
  ++first_socket_;
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    sockets_[(first_socket_ + i) % sockets_.size()]->accept_some(end);
  }
  sockets_.clear();  // the loop finds those with connections again
}

}  // namespace headgate
