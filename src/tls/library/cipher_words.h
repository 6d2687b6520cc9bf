#pragma once

#include "config/config.h"
#include "tls/handshake/diagnostic.h"

namespace headgate {

/// Looks at each word of `ciphers`, because OpenSSL passes over a word that it does not know as long as
/// another one names a cipher. A slip of the pen is an error; the name of a cipher that this OpenSSL lacks,
/// as one built without old ciphers does, is a warning. A word that only takes ciphers away may name what is
/// not there.
void check_cipher_words(const config::Tls& settings, Diagnostics& out);

}  // namespace headgate
