#include "tls/library/library_context.h"

#include <unistd.h>

#include <array>
#include <string>
#include <utility>

#include <openssl/conf.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "tls/library/openssl_call.h"
#include "tls/openssl/library_objects.h"

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

LibraryContext::LibraryContext(std::unique_ptr<LibraryObjects> objects) : objects_(std::move(objects)) {}

LibraryContext::~LibraryContext() = default;

Result<std::unique_ptr<LibraryContext>> LibraryContext::make() {
  auto objects = std::make_unique<LibraryObjects>();
  auto made = call_openssl(ErrorKind::kSystem, "OpenSSL could not make a library context",
                           [] { return LibCtxPtr(OSSL_LIB_CTX_new()); });
  if (!made) return tl::unexpected(std::move(made.error()));
  objects->context = *std::move(made);
  OSSL_LIB_CTX* context = objects->context.get();
  if (auto loaded = load_configuration(context); !loaded) return tl::unexpected(loaded.error());
  auto schedule = KeySchedule::load(context);
  if (!schedule) return tl::unexpected(std::move(schedule.error()));
  objects->key_schedule = *std::move(schedule);
  auto keys = OffloadedKeys::load(context);
  if (!keys) return tl::unexpected(std::move(keys.error()));
  objects->offloaded_keys = *std::move(keys);
  if (objects->key_schedule->properties() != nullptr) {  // not for FIPS
    auto exchange = X25519Keys::load(context);
    if (!exchange) return tl::unexpected(std::move(exchange.error()));
    objects->x25519_keys = *std::move(exchange);
  }
  const auto fetched = call_openssl(ErrorKind::kInvalid, "this OpenSSL lacks AES-256-CBC or HKDF", [&] {
    objects->aes_256_cbc.reset(EVP_CIPHER_fetch(context, "AES-256-CBC", nullptr));
    objects->hkdf.reset(EVP_KDF_fetch(context, "HKDF", nullptr));
    return objects->aes_256_cbc && objects->hkdf ? 1 : 0;
  });
  if (!fetched) return tl::unexpected(fetched.error());
  return std::make_unique<LibraryContext>(std::move(objects));
}

std::string LibraryContext::version() {
  return OpenSSL_version(OPENSSL_VERSION);
}

bool LibraryContext::is_fips() const {
  return objects_->key_schedule->properties() == nullptr;
}

const EVP_CIPHER* LibraryContext::aes_256_cbc() const {
  return objects_->aes_256_cbc.get();
}

std::string LibraryContext::own_x25519() {
  return X25519Keys::implementation();
}

SslCtxPtr LibraryContext::new_ssl_ctx(const SSL_METHOD* method, config::X25519 x25519) const {
  const bool own = objects_->x25519_keys != nullptr && x25519 == config::X25519::kAuto;
  const char* properties = own ? X25519Keys::kPreferred : objects_->key_schedule->properties();
  return SslCtxPtr(SSL_CTX_new_ex(objects_->context.get(), properties, method));
}

bool LibraryContext::random(std::span<unsigned char> into) const {
  return RAND_bytes_ex(objects_->context.get(), into.data(), into.size(), 0) == 1;
}

bool LibraryContext::hkdf_sha256(std::span<const std::byte> secret, std::span<const unsigned char> info,
                                 std::span<unsigned char> into) const {
  const KdfCtxPtr kdf(EVP_KDF_CTX_new(objects_->hkdf.get()));
  char digest[] = "SHA2-256";
  const std::array<OSSL_PARAM, 4> parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::byte*>(secret.data()),
                                        secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<unsigned char*>(info.data()),
                                        info.size()),
      OSSL_PARAM_construct_end()};
  return kdf != nullptr && EVP_KDF_derive(kdf.get(), into.data(), into.size(), parameters.data()) == 1;
}

}  // namespace headgate
