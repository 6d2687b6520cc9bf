#pragma once

#include "config/config.h"
#include "tls/handshake/diagnostic.h"

namespace headgate {

/// Looks at each word of `ciphers`, because a library passes over a word that it does not know as long as
/// another one names a cipher. A slip of the pen is an error. The name of a cipher, or a word for a kind of
/// ciphers, of which this library has none is a warning: it may be built without old ciphers. A word that
/// only takes ciphers away may name what is not there.
void check_cipher_words(const config::Tls& settings, Diagnostics& out);

}  // namespace headgate
