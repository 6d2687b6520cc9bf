#include "tls/openssl/offloaded_keys.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/out_of_memory.h"
#include "tls/library/key_use.h"
#include "tls/library/offloading_keys.h"
#include "tls/library/openssl_call.h"
#include "tls/openssl/builtin_provider.h"
#include "tls/openssl/library_objects.h"

namespace headgate {
namespace {

constexpr const char* kOffloadProvider = "headgate-offload";
constexpr const char* kOffloadDefinition = "provider=headgate-offload";
/// The parameter by which offload_key() hands the provider what a key stands for: a pointer to a HomeKey.
constexpr const char* kHomeKeyParameter = "headgate-home-key";

/// The real key, and what has to live as long as it.
struct HomeKey {
  std::shared_ptr<const LibraryContext> home;  // first: the key belongs to it
  std::shared_ptr<EVP_PKEY> key;
};

/// What the provider knows of a key: the public numbers, and the key itself unless it is public alone.
struct KeyData {
  HomeKey home;
  BnPtr modulus, exponent;
};

BnPtr number_of(const EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(key, name, &number);
  return BnPtr(number);
}

BnPtr number_in(const OSSL_PARAM* params, const char* name) {
  BIGNUM* number = nullptr;
  const OSSL_PARAM* param = OSSL_PARAM_locate_const(params, name);
  if (param != nullptr) OSSL_PARAM_get_BN(param, &number);
  return BnPtr(number);
}

void* new_key(void*) {
  return std::make_unique<KeyData>().release();  // OpenSSL owns it, and calls free_key()
}
void free_key(void* key) {
  const std::unique_ptr<KeyData> owned(static_cast<KeyData*>(key));
}

int has(const void* data, int selection) {
  const auto* key = static_cast<const KeyData*>(data);
  const bool wants_private = (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0;
  return key->modulus != nullptr && (!wants_private || key->home.key != nullptr) ? 1 : 0;
}

int match(const void* one, const void* other, int) {
  const auto* a = static_cast<const KeyData*>(one);
  const auto* b = static_cast<const KeyData*>(other);
  const bool known = a->modulus && b->modulus && a->exponent && b->exponent;
  return known && BN_cmp(a->modulus.get(), b->modulus.get()) == 0 &&
                 BN_cmp(a->exponent.get(), b->exponent.get()) == 0
             ? 1
             : 0;
}

int import_key(void* data, int, const OSSL_PARAM* params) {
  auto* key = static_cast<KeyData*>(data);
  const OSSL_PARAM* home = OSSL_PARAM_locate_const(params, kHomeKeyParameter);
  if (home != nullptr) {
    if (home->data_type != OSSL_PARAM_OCTET_STRING || home->data_size != sizeof(HomeKey)) return 0;
    key->home = *static_cast<const HomeKey*>(home->data);
    key->modulus = number_of(key->home.key.get(), OSSL_PKEY_PARAM_RSA_N);
    key->exponent = number_of(key->home.key.get(), OSSL_PKEY_PARAM_RSA_E);
  } else {  // the public key of a certificate, to be compared
    key->modulus = number_in(params, OSSL_PKEY_PARAM_RSA_N);
    key->exponent = number_in(params, OSSL_PKEY_PARAM_RSA_E);
  }
  return key->modulus != nullptr && key->exponent != nullptr ? 1 : 0;
}

const OSSL_PARAM* import_types(int) {
  static const std::array<OSSL_PARAM, 4> kTypes{{OSSL_PARAM_octet_string(kHomeKeyParameter, nullptr, 0),
                                                 OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, nullptr, 0),
                                                 OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, nullptr, 0),
                                                 OSSL_PARAM_END}};
  return kTypes.data();
}

int get_key_params(void* data, OSSL_PARAM* params) {
  const auto* key = static_cast<const KeyData*>(data);
  return key->home.key == nullptr ? 1 : EVP_PKEY_get_params(key->home.key.get(), params);
}

const OSSL_PARAM* gettable_key_params(void*) {
  static const std::array<OSSL_PARAM, 6> kParams{
      {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, nullptr), OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, nullptr),
       OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, nullptr),
       OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, nullptr, 0),
       OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, nullptr, 0), OSSL_PARAM_END}};
  return kParams.data();
}

const char* rsa_operation(int) {
  return "RSA";
}

/// A signature in the making: the real key's context, and what it is to sign.
class Signature final : public PrivateKeyOperation {
 public:
  Signature(HomeKey home, DigestCtxPtr context, std::span<const unsigned char> message)
      : home_(std::move(home)), context_(std::move(context)), message_(message.begin(), message.end()) {}

  /// Nothing: OpenSSL could not make one.
  [[nodiscard]] const std::vector<unsigned char>& result() const { return result_; }

 private:
  void compute() override {
    std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(home_.key.get()));
    result_.resize(size);
    const int done = ask_openssl([&] {
      return EVP_DigestSign(context_.get(), result_.data(), &size, message_.data(), message_.size());
    });
    result_.resize(done == 1 ? size : 0);
  }

  HomeKey home_;  // first: the context uses it
  DigestCtxPtr context_;
  std::vector<unsigned char> message_;
  std::vector<unsigned char> result_;
};

/// The decryption of an RSA key exchange. RFC 5246, section 7.4.7.1.
class Decryption final : public PrivateKeyOperation {
 public:
  Decryption(HomeKey home, PkeyCtxPtr context, std::span<const unsigned char> ciphertext)
      : home_(std::move(home)), context_(std::move(context)), in_(ciphertext.begin(), ciphertext.end()) {}
  ~Decryption() override { OPENSSL_cleanse(result_.data(), result_.size()); }

  [[nodiscard]] const std::vector<unsigned char>& result() const { return result_; }

 private:
  void compute() override {
    std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(home_.key.get()));
    result_.resize(size);
    const int done = ask_openssl(
        [&] { return EVP_PKEY_decrypt(context_.get(), result_.data(), &size, in_.data(), in_.size()); });
    result_.resize(done == 1 ? size : 0);
  }

  HomeKey home_;  // first: the context uses it
  PkeyCtxPtr context_;
  std::vector<unsigned char> in_;
  std::vector<unsigned char> result_;
};

/// Performs it here, or hands it out and pauses the handshake until that is driven again. False: the
/// handshake ends, and nobody waits for the operation any more.
bool perform_or_offload(const std::shared_ptr<PrivateKeyOperation>& operation) {
  if (ASYNC_get_current_job() == nullptr || !OffloadingKeys::hand_out(operation)) {
    operation->perform();
    return true;
  }
  ASYNC_pause_job();
  return operation->is_finished();
}

int copy_out(const std::vector<unsigned char>& result, unsigned char* out, std::size_t* out_size,
             std::size_t room) {
  if (result.empty() || result.size() > room) return 0;
  std::memcpy(out, result.data(), result.size());
  *out_size = result.size();
  return 1;
}

/// What OpenSSL has for one signature.
struct SignatureContext {
  HomeKey home;
  DigestCtxPtr digest;
  EVP_PKEY_CTX* key = nullptr;         // of digest
  std::vector<unsigned char> message;  // where it comes in pieces
};

void* new_signature(void*, const char*) {
  return std::make_unique<SignatureContext>().release();  // OpenSSL owns it, and calls free_signature()
}
void free_signature(void* context) {
  const std::unique_ptr<SignatureContext> owned(static_cast<SignatureContext*>(context));
}

int set_signature_params(void* data, const OSSL_PARAM params[]) {
  auto* context = static_cast<SignatureContext*>(data);
  if (params == nullptr) return 1;
  return context->key == nullptr ? 0 : EVP_PKEY_CTX_set_params(context->key, params);
}

const OSSL_PARAM* settable_signature_params(void* data, void*) {
  const auto* context = static_cast<SignatureContext*>(data);
  return context == nullptr || context->key == nullptr ? nullptr : EVP_PKEY_CTX_settable_params(context->key);
}

int digest_sign_init(void* data, const char* digest, void* key, const OSSL_PARAM params[]) {
  auto* context = static_cast<SignatureContext*>(data);
  if (key != nullptr) context->home = static_cast<KeyData*>(key)->home;
  const HomeKey& home = context->home;
  context->digest.reset(EVP_MD_CTX_new());
  context->message.clear();
  const bool begun =
      home.key != nullptr && context->digest != nullptr &&
      EVP_DigestSignInit_ex(context->digest.get(), &context->key, digest != nullptr ? digest : "SHA2-256",
                            openssl_context(home.home.get()), nullptr, home.key.get(), nullptr) == 1;
  return begun ? set_signature_params(data, params) : 0;
}

int digest_sign(void* data, unsigned char* out, std::size_t* out_size, std::size_t room,
                const unsigned char* message, std::size_t message_size) {
  auto* context = static_cast<SignatureContext*>(data);
  if (out == nullptr) {
    *out_size = static_cast<std::size_t>(EVP_PKEY_get_size(context->home.key.get()));
    return 1;
  }
  if (context->digest == nullptr) return 0;
  context->key = nullptr;
  const auto signature = std::make_shared<Signature>(context->home, std::move(context->digest),
                                                     std::span(message, message_size));
  return perform_or_offload(signature) ? copy_out(signature->result(), out, out_size, room) : 0;
}

int digest_sign_update(void* data, const unsigned char* piece, std::size_t size) {
  auto& message = static_cast<SignatureContext*>(data)->message;
  message.insert(message.end(), piece, piece + size);
  return 1;
}

int digest_sign_final(void* data, unsigned char* out, std::size_t* out_size, std::size_t room) {
  const auto& message = static_cast<SignatureContext*>(data)->message;
  return digest_sign(data, out, out_size, room, message.data(), message.size());
}

/// What OpenSSL has for one decryption.
struct DecryptionContext {
  HomeKey home;
  PkeyCtxPtr key;
};

void* new_decryption(void*) {
  return std::make_unique<DecryptionContext>().release();  // OpenSSL owns it, and calls free_decryption()
}
void free_decryption(void* context) {
  const std::unique_ptr<DecryptionContext> owned(static_cast<DecryptionContext*>(context));
}

int set_decryption_params(void* data, const OSSL_PARAM params[]) {
  auto* context = static_cast<DecryptionContext*>(data);
  if (params == nullptr) return 1;
  return context->key == nullptr ? 0 : EVP_PKEY_CTX_set_params(context->key.get(), params);
}

const OSSL_PARAM* settable_decryption_params(void* data, void*) {
  const auto* context = static_cast<DecryptionContext*>(data);
  return context == nullptr || context->key == nullptr ? nullptr
                                                       : EVP_PKEY_CTX_settable_params(context->key.get());
}

int decrypt_init(void* data, void* key, const OSSL_PARAM params[]) {
  auto* context = static_cast<DecryptionContext*>(data);
  context->home = static_cast<KeyData*>(key)->home;
  if (context->home.key == nullptr) return 0;
  context->key.reset(EVP_PKEY_CTX_new_from_pkey(openssl_context(context->home.home.get()),
                                                context->home.key.get(), nullptr));
  if (context->key == nullptr || EVP_PKEY_decrypt_init(context->key.get()) != 1) return 0;
  return set_decryption_params(data, params);
}

int decrypt(void* data, unsigned char* out, std::size_t* out_size, std::size_t room, const unsigned char* in,
            std::size_t in_size) {
  auto* context = static_cast<DecryptionContext*>(data);
  if (out == nullptr) {
    *out_size = static_cast<std::size_t>(EVP_PKEY_get_size(context->home.key.get()));
    return 1;
  }
  if (context->key == nullptr) return 0;
  const auto decryption =
      std::make_shared<Decryption>(context->home, std::move(context->key), std::span(in, in_size));
  return perform_or_offload(decryption) ? copy_out(decryption->result(), out, out_size, room) : 0;
}

const std::array<OSSL_DISPATCH, 10> kKeyManagement{{
    provider_entry(OSSL_FUNC_KEYMGMT_NEW, callable_from_c<new_key, nullptr>),
    provider_entry(OSSL_FUNC_KEYMGMT_FREE, free_key),
    provider_entry(OSSL_FUNC_KEYMGMT_HAS, has),
    provider_entry(OSSL_FUNC_KEYMGMT_MATCH, match),
    provider_entry(OSSL_FUNC_KEYMGMT_IMPORT, callable_from_c<import_key, 0>),
    provider_entry(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, import_types),
    provider_entry(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_key_params),
    provider_entry(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, gettable_key_params),
    provider_entry(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, rsa_operation),
    {0, nullptr},
}};
const std::array<OSSL_DISPATCH, 9> kSignature{{
    provider_entry(OSSL_FUNC_SIGNATURE_NEWCTX, callable_from_c<new_signature, nullptr>),
    provider_entry(OSSL_FUNC_SIGNATURE_FREECTX, free_signature),
    provider_entry(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, callable_from_c<digest_sign_init, 0>),
    provider_entry(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, callable_from_c<digest_sign_update, 0>),
    provider_entry(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, callable_from_c<digest_sign_final, 0>),
    provider_entry(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, callable_from_c<digest_sign, 0>),
    provider_entry(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_signature_params),
    provider_entry(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, settable_signature_params),
    {0, nullptr},
}};
const std::array<OSSL_DISPATCH, 7> kDecryption{{
    provider_entry(OSSL_FUNC_ASYM_CIPHER_NEWCTX, callable_from_c<new_decryption, nullptr>),
    provider_entry(OSSL_FUNC_ASYM_CIPHER_FREECTX, free_decryption),
    provider_entry(OSSL_FUNC_ASYM_CIPHER_DECRYPT_INIT, callable_from_c<decrypt_init, 0>),
    provider_entry(OSSL_FUNC_ASYM_CIPHER_DECRYPT, callable_from_c<decrypt, 0>),
    provider_entry(OSSL_FUNC_ASYM_CIPHER_SET_CTX_PARAMS, set_decryption_params),
    provider_entry(OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, settable_decryption_params),
    {0, nullptr},
}};

// The names that OpenSSL's own provider has for them: libssl finds a key's place by the name.
constexpr const char* kRsaNames = "RSA:rsaEncryption:1.2.840.113549.1.1.1";
constexpr const char* kRsaPssNames = "RSA-PSS:RSASSA-PSS:1.2.840.113549.1.1.10";

const std::array<OSSL_ALGORITHM, 3> kKeyManagements{{
    {kRsaNames, kOffloadDefinition, kKeyManagement.data(), "RSA keys that are used on another thread"},
    {kRsaPssNames, kOffloadDefinition, kKeyManagement.data(), "RSA-PSS keys that are used on another thread"},
    {nullptr, nullptr, nullptr, nullptr},
}};
const std::array<OSSL_ALGORITHM, 2> kSignatures{{
    {kRsaNames, kOffloadDefinition, kSignature.data(), "RSA signatures made on another thread"},
    {nullptr, nullptr, nullptr, nullptr},
}};
const std::array<OSSL_ALGORITHM, 2> kDecryptions{{
    {kRsaNames, kOffloadDefinition, kDecryption.data(), "RSA decryption on another thread"},
    {nullptr, nullptr, nullptr, nullptr},
}};

const OSSL_ALGORITHM* offload_algorithms(void*, int operation, int* no_cache) {
  *no_cache = 0;
  switch (operation) {
    case OSSL_OP_KEYMGMT:
      return kKeyManagements.data();
    case OSSL_OP_SIGNATURE:
      return kSignatures.data();
    case OSSL_OP_ASYM_CIPHER:
      return kDecryptions.data();
    default:
      return nullptr;
  }
}

}  // namespace

// OpenSSL takes the implementation that it came to know first. So it has to know those of the other providers
// before this one is there: then it uses them for every key that is not offloaded.
Result<OffloadedKeys> OffloadedKeys::load(OSSL_LIB_CTX* library) {
  const auto known = call_openssl(ErrorKind::kInvalid, "this OpenSSL lacks RSA", [&] {
    return KeyManagementPtr(EVP_KEYMGMT_fetch(library, "RSA", nullptr)) != nullptr &&
           SignaturePtr(EVP_SIGNATURE_fetch(library, "RSA", nullptr)) != nullptr &&
           AsymmetricCipherPtr(EVP_ASYM_CIPHER_fetch(library, "RSA", nullptr)) != nullptr;
  });
  if (!known) return tl::unexpected(known.error());
  auto provider =
      load_builtin_provider(library, kOffloadProvider, start_builtin_provider<offload_algorithms>);
  if (!provider) return tl::unexpected(std::move(provider.error()));
  return OffloadedKeys(*std::move(provider));
}

Result<PkeyPtr> offload_key(PkeyPtr key, std::shared_ptr<const LibraryContext> home,
                            const LibraryContext& library) {
  const char* type = EVP_PKEY_is_a(key.get(), "RSA-PSS") == 1 ? "RSA-PSS" : "RSA";
  HomeKey home_key{std::move(home), std::shared_ptr<EVP_PKEY>(std::move(key))};
  std::array<OSSL_PARAM, 2> parameters{
      OSSL_PARAM_construct_octet_string(kHomeKeyParameter, &home_key, sizeof home_key),
      OSSL_PARAM_construct_end()};
  return call_openssl(ErrorKind::kInvalid, "OpenSSL could not offload a private key", [&] {
    const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(openssl_context(&library), type, kOffloadDefinition));
    EVP_PKEY* made = nullptr;
    if (context != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1)
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, parameters.data());
    return PkeyPtr(made);
  });
}

}  // namespace headgate
