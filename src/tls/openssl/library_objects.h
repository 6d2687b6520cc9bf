#pragma once

#include <memory>
#include <optional>

#include "tls/library/library_context.h"
#include "tls/openssl/key_schedule.h"
#include "tls/openssl/offloaded_keys.h"
#include "tls/openssl/provider_types.h"
#include "tls/openssl/x25519_keys.h"

namespace headgate {

/// A library context of OpenSSL, and what was fetched from it.
struct LibraryObjects {
  LibCtxPtr context;                            // first: what follows was fetched from it
  std::optional<KeySchedule> key_schedule;      // set by LibraryContext::make()
  std::optional<OffloadedKeys> offloaded_keys;  // likewise
  ProviderPtr x25519_keys;                      // null: handshakes use OpenSSL's
  CipherPtr aes_256_cbc;
  KdfPtr hkdf;
};

/// The library context within `library`; nullptr for nullptr, which is the process's default one.
[[nodiscard]] inline OSSL_LIB_CTX* openssl_context(const LibraryContext* library) {
  return library == nullptr ? nullptr : library->objects().context.get();
}

}  // namespace headgate
