#include <iostream>

#include "cli/commands.h"
#include "tls/handshake/session_tickets.h"

namespace headgate {

int ticket_key_new_command() {
  const auto file = new_secret_file();
  if (!file) {
    std::cerr << "headgate ticket-key: " << file.error().what << '\n';
    return kExitCannotStart;
  }
  std::cout << *file;
  return kExitDone;
}

}  // namespace headgate
