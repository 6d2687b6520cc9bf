#include "tls/library/peer_strength.h"

namespace headgate {

int weakness_of(X509*) {
  return X509_V_OK;
}

int weakness_of_chain(X509_STORE_CTX*) {
  return X509_V_OK;
}

}  // namespace headgate
