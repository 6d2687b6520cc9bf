#include "tls/openssl/library_context.h"

#include <unistd.h>

#include <string>

#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>

#include "tls/openssl/openssl_call.h"

namespace headgate {
namespace {

/// Lets openssl.cnf choose providers. A new library context does not read it by itself.
Result<void> load_configuration(OSSL_LIB_CTX* context) {
  const auto file = call_openssl(ErrorKind::kSystem, "OpenSSL could not find its configuration file",
                                 [] { return TextPtr(CONF_get1_default_config_file()); });
  if (!file) return tl::unexpected(file.error());
  const char* path = file->get();
  if (access(path, R_OK) != 0) return {};
  return call_openssl(ErrorKind::kInvalid, std::string("OpenSSL refused its configuration ") + path,
                      [&] { return OSSL_LIB_CTX_load_config(context, path); });
}

}  // namespace

Result<std::unique_ptr<LibraryContext>> LibraryContext::make() {
  std::unique_ptr<LibraryContext> made(new LibraryContext());
  auto context = call_openssl(ErrorKind::kSystem, "OpenSSL could not make a library context",
                              [] { return LibCtxPtr(OSSL_LIB_CTX_new()); });
  if (!context) return tl::unexpected(std::move(context.error()));
  made->context_ = *std::move(context);
  if (auto loaded = load_configuration(made->get()); !loaded) return tl::unexpected(loaded.error());
  auto schedule = KeySchedule::load(made->get());
  if (!schedule) return tl::unexpected(std::move(schedule.error()));
  made->key_schedule_ = *std::move(schedule);
  auto keys = OffloadedKeys::load(made->get());
  if (!keys) return tl::unexpected(std::move(keys.error()));
  made->offloaded_keys_ = *std::move(keys);
  const auto fetched =
      call_openssl(ErrorKind::kInvalid, "this OpenSSL lacks AES-256-CBC, SHA-256 or HKDF", [&] {
        made->aes_256_cbc_.reset(EVP_CIPHER_fetch(made->get(), "AES-256-CBC", nullptr));
        made->sha256_.reset(EVP_MD_fetch(made->get(), "SHA2-256", nullptr));
        made->hkdf_.reset(EVP_KDF_fetch(made->get(), "HKDF", nullptr));
        return made->aes_256_cbc_ && made->sha256_ && made->hkdf_ ? 1 : 0;
      });
  if (!fetched) return tl::unexpected(fetched.error());
  return made;
}

std::string LibraryContext::version() {
  return OpenSSL_version(OPENSSL_VERSION);
}

}  // namespace headgate
