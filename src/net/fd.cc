#include "net/fd.h"

#include <unistd.h>

namespace headgate {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    close();
    number_ = std::exchange(other.number_, -1);
  }
  return *this;
}

void Fd::close() {
  if (number_ >= 0) ::close(std::exchange(number_, -1));
}

}  // namespace headgate
