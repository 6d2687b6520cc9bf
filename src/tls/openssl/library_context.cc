#include "tls/openssl/library_context.h"

#include <unistd.h>

#include <string>

#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>

#include "tls/openssl/openssl_error.h"

namespace headgate {
namespace {

/// Lets openssl.cnf choose providers. A library context of one's own does not read it by itself.
Result<void> load_configuration(OSSL_LIB_CTX* context) {
  char* path = CONF_get1_default_config_file();
  if (path == nullptr) return fail_openssl(ErrorKind::kSystem, "finding OpenSSL's configuration file");
  const std::string file(path);
  OPENSSL_free(path);
  if (access(file.c_str(), R_OK) != 0) return {};
  if (OSSL_LIB_CTX_load_config(context, file.c_str()) != 1) {
    return fail_openssl(ErrorKind::kInvalid, "loading OpenSSL's configuration " + file);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<LibraryContext>> LibraryContext::make() {
  std::unique_ptr<LibraryContext> made(new LibraryContext());
  made->context_.reset(OSSL_LIB_CTX_new());
  if (made->context_ == nullptr) return fail_openssl(ErrorKind::kSystem, "making an OpenSSL library context");
  if (auto loaded = load_configuration(made->get()); !loaded) return tl::unexpected(loaded.error());
  auto schedule = KeySchedule::load(made->get());
  if (!schedule) return tl::unexpected(std::move(schedule.error()));
  made->key_schedule_ = *std::move(schedule);
  auto keys = OffloadedKeys::load(made->get());
  if (!keys) return tl::unexpected(std::move(keys.error()));
  made->offloaded_keys_ = *std::move(keys);
  made->aes_256_cbc_.reset(EVP_CIPHER_fetch(made->get(), "AES-256-CBC", nullptr));
  made->sha256_.reset(EVP_MD_fetch(made->get(), "SHA2-256", nullptr));
  made->hkdf_.reset(EVP_KDF_fetch(made->get(), "HKDF", nullptr));
  if (made->aes_256_cbc_ == nullptr || made->sha256_ == nullptr || made->hkdf_ == nullptr) {
    return fail_openssl(ErrorKind::kInvalid, "this OpenSSL lacks AES-256-CBC, SHA-256 or HKDF");
  }
  return made;
}

std::string LibraryContext::version() {
  return OpenSSL_version(OPENSSL_VERSION);
}

}  // namespace headgate
