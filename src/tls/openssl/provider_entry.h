#pragma once

#include <openssl/core.h>

namespace headgate {

/// An entry of a provider's table: OpenSSL's tables hold functions as void (*)(void).
template <class Function>
constexpr auto provider_entry(int id, Function* function) {
  return OSSL_DISPATCH{id, reinterpret_cast<void (*)()>(function)};
}

}  // namespace headgate
