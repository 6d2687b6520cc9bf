#include <iostream>

#include "cli/commands.h"
#include "tls/handshake/session_tickets.h"

namespace headgate {

int ticket_key_new_command() {
  std::cout << new_secret_file();
  return kExitDone;
}

}  // namespace headgate
