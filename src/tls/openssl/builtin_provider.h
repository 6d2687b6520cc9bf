#pragma once

#include <array>

#include <openssl/core.h>
#include <openssl/core_dispatch.h>

#include "base/result.h"
#include "tls/openssl/provider_types.h"

/// OpenSSL providers that are part of the program. Neither has state: a provider is a table of algorithms.
namespace headgate {

/// An entry of a provider's table: OpenSSL's tables hold functions as void (*)(void).
template <class Function>
constexpr auto provider_entry(int id, Function* function) {
  return OSSL_DISPATCH{id, reinterpret_cast<void (*)()>(function)};
}

/// For a provider without capabilities: it tells of none.
inline int tell_no_capability(void*, const char*, OSSL_CALLBACK*, void*) {
  return 1;
}

/// What OpenSSL calls when it loads the provider whose algorithms `kAlgorithms` names, for each operation,
/// and whose capabilities `kCapabilities` tells of.
template <const OSSL_ALGORITHM* (*kAlgorithms)(void* provider, int operation, int* no_cache),
          int (*kCapabilities)(void* provider, const char* capability, OSSL_CALLBACK* tell,
                               void* argument) = tell_no_capability>
int start_builtin_provider(const OSSL_CORE_HANDLE* handle, const OSSL_DISPATCH*,
                           const OSSL_DISPATCH** functions, void** provider) {
  static const std::array<OSSL_DISPATCH, 3> kFunctions{{
      provider_entry(OSSL_FUNC_PROVIDER_QUERY_OPERATION, kAlgorithms),
      provider_entry(OSSL_FUNC_PROVIDER_GET_CAPABILITIES, kCapabilities),
      {0, nullptr},
  }};
  *functions = kFunctions.data();
  // The pointer that stands for the provider's context must only not be null.
  *provider = const_cast<void*>(static_cast<const void*>(handle));
  return 1;
}

/// Loads it into `library`, beside the providers that are there, which it neither replaces nor keeps from
/// being loaded. Errors: kSystem.
[[nodiscard]] Result<ProviderPtr> load_builtin_provider(OSSL_LIB_CTX* library, const char* name,
                                                        OSSL_provider_init_fn* start);

}  // namespace headgate
