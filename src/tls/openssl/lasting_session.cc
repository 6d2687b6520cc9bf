#include "tls/library/lasting_session.h"

namespace headgate {

SessionPtr lasting_session(SSL_SESSION* session) {
  return SessionPtr(SSL_SESSION_dup(session));
}

}  // namespace headgate
