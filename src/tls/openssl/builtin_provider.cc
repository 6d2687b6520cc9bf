#include "tls/openssl/builtin_provider.h"

#include <string>

#include <openssl/provider.h>

#include "tls/library/openssl_call.h"

namespace headgate {

Result<ProviderPtr> load_builtin_provider(OSSL_LIB_CTX* library, const char* name,
                                          OSSL_provider_init_fn* start) {
  constexpr int kKeepOthers = 1;
  return call_openssl(ErrorKind::kSystem, std::string("OpenSSL could not load the provider ") + name, [&] {
    const bool known = OSSL_PROVIDER_add_builtin(library, name, start) == 1;
    return ProviderPtr(known ? OSSL_PROVIDER_try_load(library, name, kKeepOthers) : nullptr);
  });
}

}  // namespace headgate
