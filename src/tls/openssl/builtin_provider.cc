#include "tls/openssl/builtin_provider.h"

#include <string>

#include <openssl/provider.h>

#include "tls/openssl/openssl_error.h"

namespace headgate {

Result<ProviderPtr> load_builtin_provider(OSSL_LIB_CTX* library, const char* name,
                                          OSSL_provider_init_fn* start) {
  constexpr int kKeepOthers = 1;
  ProviderPtr provider;
  if (OSSL_PROVIDER_add_builtin(library, name, start) == 1) {
    provider.reset(OSSL_PROVIDER_try_load(library, name, kKeepOthers));
  }
  if (provider == nullptr)
    return fail_openssl(ErrorKind::kSystem, std::string("loading the provider ") + name);
  return provider;
}

}  // namespace headgate
