#include "tls/library/lasting_session.h"

namespace headgate {

// AWS-LC changes no session once its handshake is done.
SessionPtr lasting_session(SSL_SESSION* session) {
  SSL_SESSION_up_ref(session);
  return SessionPtr(session);
}

}  // namespace headgate
