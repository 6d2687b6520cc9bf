#include "admin/admin_doors.h"

#include <utility>

namespace headgate {

// The second is opened where the first one fails, too: a process that takes over goes on without the first.
Result<void> AdminDoors::open(ListeningSockets::AdminSockets inherited) {
  auto all = all_.open(std::move(inherited.all));
  auto metrics = metrics_.open(std::move(inherited.metrics));
  return all ? metrics : all;
}

void AdminDoors::close() {
  all_.close();
  metrics_.close();
}

}  // namespace headgate
