#pragma once

#include "config/config.h"
#include "tls/certificate/certificate_store.h"
#include "tls/handshake/diagnostic.h"

namespace headgate {

/// Makes a handshake in memory for each version of TLS whose ciphers `settings` lists, and each kind of key
/// among the certificates. OpenSSL accepts a list of ciphers of which none works with any of the keys; then
/// every handshake would fail. Such a version is an error; if some of the keys work, the others are a
/// warning. Costs a few milliseconds where ciphers are listed, and nothing where they are not. Supervisor
/// only.
void try_handshakes(const config::Tls& settings, const CertificateStore& certificates, Diagnostics& out);

}  // namespace headgate
