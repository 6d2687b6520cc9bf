#include "tls/openssl/x25519_keys.h"

#include <lib25519.h>

#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/prov_ssl.h>
#include <openssl/proverr.h>

#include "base/out_of_memory.h"
#include "tls/library/openssl_call.h"
#include "tls/openssl/builtin_provider.h"

namespace headgate {
namespace x25519 {  // the names of a provider's functions are those of any other
namespace {

constexpr const char* kProvider = "headgate-x25519";
constexpr const char* kDefinition = "provider=headgate-x25519,headgate.own=yes";
// The names that OpenSSL's own provider has for it.
constexpr const char* kNames = "X25519:1.3.101.110";

constexpr std::size_t kKeyBytes = 32;  // public keys, private ones and secrets. RFC 7748, section 6.1.
static_assert(lib25519_dh_PUBLICKEYBYTES == kKeyBytes && lib25519_dh_SECRETKEYBYTES == kKeyBytes &&
              lib25519_dh_BYTES == kKeyBytes);
constexpr int kBits = 253, kSecurityBits = 128;  // as OpenSSL has them

using KeyBytes = std::array<unsigned char, kKeyBytes>;

/// A key pair, a public key alone, or neither yet: then it only says of which kind the keys will be.
struct Key {
  bool has_public = false, has_private = false;
  KeyBytes public_key{}, private_key{};

  Key() = default;
  Key(const Key&) = default;
  Key& operator=(const Key&) = default;
  ~Key() { OPENSSL_cleanse(private_key.data(), private_key.size()); }
};

void drop_private(Key& key) {
  key.has_private = false;
  OPENSSL_cleanse(key.private_key.data(), key.private_key.size());
}

// OpenSSL owns what these functions release, and calls the function that frees it.
void* new_key(void*) {
  return std::make_unique<Key>().release();
}
void free_key(void* key) {
  const std::unique_ptr<Key> owned(static_cast<Key*>(key));
}
void* duplicate_key(const void* from, int selection) {
  const auto* key = static_cast<const Key*>(from);
  auto copy = std::make_unique<Key>(*key);
  if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0) drop_private(*copy);
  if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0) copy->has_public = false;
  return copy.release();
}

// OpenSSL asks of a key, too, that has a kind and nothing else yet: it is null, and lacks everything. TLS 1.2
// copies the parameters of our key into such a one, for the client's.
int has(const void* data, int selection) {
  const auto* key = static_cast<const Key*>(data);
  if (key == nullptr) return 0;
  const bool lacks_public = (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 && !key->has_public;
  const bool lacks_private = (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && !key->has_private;
  return lacks_public || lacks_private ? 0 : 1;
}

int match(const void* one, const void* other, int selection) {
  if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0) return 1;
  const auto* a = static_cast<const Key*>(one);
  const auto* b = static_cast<const Key*>(other);
  return a->has_public && b->has_public && a->public_key == b->public_key ? 1 : 0;
}

// Every value of 32 bytes is a public key (RFC 7748, section 5); those that lead to zeros are found by
// derive().
int validate(const void* data, int selection, int) {
  return has(data, selection & OSSL_KEYMGMT_SELECT_KEYPAIR);
}

bool holds_key(const OSSL_PARAM& param) {
  if (param.data_type == OSSL_PARAM_OCTET_STRING && param.data != nullptr && param.data_size == kKeyBytes)
    return true;
  ERR_raise(ERR_LIB_PROV, PROV_R_INVALID_KEY_LENGTH);
  return false;
}

int set_public(Key& key, const OSSL_PARAM& param) {
  if (!holds_key(param)) return 0;
  std::memcpy(key.public_key.data(), param.data, kKeyBytes);
  key.has_public = true;
  drop_private(key);
  return 1;
}

int set_private(Key& key, const OSSL_PARAM& param) {
  if (!holds_key(param)) return 0;
  constexpr KeyBytes kBasePoint{9};  // RFC 7748, section 4.1
  std::memcpy(key.private_key.data(), param.data, kKeyBytes);
  lib25519_dh(key.public_key.data(), kBasePoint.data(), key.private_key.data());
  key.has_private = key.has_public = true;
  return 1;
}

// A private key determines its public one, which need not be there.
int import_key(void* data, int selection, const OSSL_PARAM params[]) {
  auto& key = *static_cast<Key*>(data);
  const OSSL_PARAM* own = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY);
  if (own != nullptr && (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0) return set_private(key, *own);
  const OSSL_PARAM* shown = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
  return shown == nullptr ? 0 : set_public(key, *shown);
}

const OSSL_PARAM* import_types(int) {
  static const std::array<OSSL_PARAM, 3> kTypes{
      {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, nullptr, 0),
       OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0), OSSL_PARAM_END}};
  return kTypes.data();
}

int set_key_params(void* data, const OSSL_PARAM params[]) {
  const OSSL_PARAM* encoded = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);
  return encoded == nullptr ? 1 : set_public(*static_cast<Key*>(data), *encoded);
}

const OSSL_PARAM* settable_key_params(void*) {
  static const std::array<OSSL_PARAM, 2> kParams{
      {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, nullptr, 0), OSSL_PARAM_END}};
  return kParams.data();
}

int get_key_params(void* data, OSSL_PARAM params[]) {
  const auto* key = static_cast<const Key*>(data);
  constexpr std::pair<const char*, int> kNumbers[] = {
      {OSSL_PKEY_PARAM_BITS, kBits},
      {OSSL_PKEY_PARAM_SECURITY_BITS, kSecurityBits},
      {OSSL_PKEY_PARAM_MAX_SIZE, static_cast<int>(kKeyBytes)}};
  for (const auto& [name, number] : kNumbers) {
    OSSL_PARAM* param = OSSL_PARAM_locate(params, name);
    if (param != nullptr && OSSL_PARAM_set_int(param, number) != 1) return 0;
  }
  for (const char* name : {OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, OSSL_PKEY_PARAM_PUB_KEY}) {
    OSSL_PARAM* param = OSSL_PARAM_locate(params, name);
    if (param == nullptr) continue;
    if (!key->has_public || OSSL_PARAM_set_octet_string(param, key->public_key.data(), kKeyBytes) != 1)
      return 0;
  }
  return 1;
}

const OSSL_PARAM* gettable_key_params(void*) {
  static const std::array<OSSL_PARAM, 6> kParams{
      {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, nullptr), OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, nullptr),
       OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, nullptr),
       OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0),
       OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, nullptr, 0), OSSL_PARAM_END}};
  return kParams.data();
}

/// The making of a key: of a pair, or of one that only says of which kind the pair will be.
struct Generation {
  bool pair = false;
};

void* begin_generation(void*, int selection, const OSSL_PARAM[]) {
  auto generation = std::make_unique<Generation>();
  generation->pair = (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0;
  return generation.release();
}
void end_generation(void* generation) {
  const std::unique_ptr<Generation> owned(static_cast<Generation*>(generation));
}
// There is one kind of key, so a template says nothing.
int set_template(void*, void*) {
  return 1;
}
int set_generation_params(void*, const OSSL_PARAM params[]) {
  const OSSL_PARAM* group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
  if (group == nullptr) return 1;
  const bool is_text = group->data_type == OSSL_PARAM_UTF8_STRING && group->data != nullptr;
  return is_text && OPENSSL_strcasecmp(static_cast<const char*>(group->data), "x25519") == 0 ? 1 : 0;
}
const OSSL_PARAM* settable_generation_params(void*, void*) {
  static const std::array<OSSL_PARAM, 2> kParams{
      {OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0), OSSL_PARAM_END}};
  return kParams.data();
}
void* generate(void* generation, OSSL_CALLBACK*, void*) {
  auto key = std::make_unique<Key>();
  if (static_cast<const Generation*>(generation)->pair) {
    lib25519_dh_keypair(key->public_key.data(), key->private_key.data());
    key->has_public = key->has_private = true;
  }
  return key.release();
}

const char* exchange_name(int) {
  return "X25519";
}

/// One exchange. The keys belong to OpenSSL, which may free them first: they are copied.
struct Exchange {
  Key own, peer;  // the peer's public key alone
};

void* new_exchange(void*) {
  return std::make_unique<Exchange>().release();
}
void free_exchange(void* exchange) {
  const std::unique_ptr<Exchange> owned(static_cast<Exchange*>(exchange));
}
void* duplicate_exchange(void* exchange) {
  return std::make_unique<Exchange>(*static_cast<const Exchange*>(exchange)).release();
}
int begin_exchange(void* exchange, void* key, const OSSL_PARAM[]) {
  static_cast<Exchange*>(exchange)->own = *static_cast<const Key*>(key);
  return 1;
}
int set_peer(void* exchange, void* key) {
  const auto* shown = static_cast<const Key*>(key);
  Key& peer = static_cast<Exchange*>(exchange)->peer;
  peer.public_key = shown->public_key;
  peer.has_public = shown->has_public;
  return 1;
}

bool is_zero(const KeyBytes& secret) {
  unsigned char any = 0;
  for (const unsigned char octet : secret) any = static_cast<unsigned char>(any | octet);
  return any == 0;
}

int derive(void* data, unsigned char* secret, std::size_t* size, std::size_t room) {
  const auto* exchange = static_cast<const Exchange*>(data);
  *size = kKeyBytes;
  if (!exchange->own.has_private || !exchange->peer.has_public) {
    ERR_raise(ERR_LIB_PROV, PROV_R_MISSING_KEY);
    return 0;
  }
  if (secret == nullptr) return 1;
  if (room < kKeyBytes) {
    ERR_raise(ERR_LIB_PROV, PROV_R_OUTPUT_BUFFER_TOO_SMALL);
    return 0;
  }
  KeyBytes shared{};
  lib25519_dh(shared.data(), exchange->peer.public_key.data(), exchange->own.private_key.data());
  const bool contributes = !is_zero(shared);  // RFC 7748, section 6.1
  if (contributes) std::memcpy(secret, shared.data(), shared.size());
  OPENSSL_cleanse(shared.data(), shared.size());
  if (!contributes) ERR_raise(ERR_LIB_PROV, PROV_R_FAILED_DURING_DERIVATION);
  return contributes ? 1 : 0;
}

const std::array<OSSL_DISPATCH, 20> kKeyManagement{{
    provider_entry(OSSL_FUNC_KEYMGMT_NEW, callable_from_c<new_key, nullptr>),
    provider_entry(OSSL_FUNC_KEYMGMT_FREE, free_key),
    provider_entry(OSSL_FUNC_KEYMGMT_DUP, callable_from_c<duplicate_key, nullptr>),
    provider_entry(OSSL_FUNC_KEYMGMT_HAS, has),
    provider_entry(OSSL_FUNC_KEYMGMT_MATCH, match),
    provider_entry(OSSL_FUNC_KEYMGMT_VALIDATE, validate),
    provider_entry(OSSL_FUNC_KEYMGMT_IMPORT, import_key),
    provider_entry(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, import_types),
    provider_entry(OSSL_FUNC_KEYMGMT_SET_PARAMS, set_key_params),
    provider_entry(OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, settable_key_params),
    provider_entry(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_key_params),
    provider_entry(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, gettable_key_params),
    provider_entry(OSSL_FUNC_KEYMGMT_GEN_INIT, callable_from_c<begin_generation, nullptr>),
    provider_entry(OSSL_FUNC_KEYMGMT_GEN_SET_TEMPLATE, set_template),
    provider_entry(OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, set_generation_params),
    provider_entry(OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, settable_generation_params),
    provider_entry(OSSL_FUNC_KEYMGMT_GEN, callable_from_c<generate, nullptr>),
    provider_entry(OSSL_FUNC_KEYMGMT_GEN_CLEANUP, end_generation),
    provider_entry(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, exchange_name),
    {0, nullptr},
}};
const std::array<OSSL_DISPATCH, 7> kKeyExchange{{
    provider_entry(OSSL_FUNC_KEYEXCH_NEWCTX, callable_from_c<new_exchange, nullptr>),
    provider_entry(OSSL_FUNC_KEYEXCH_FREECTX, free_exchange),
    provider_entry(OSSL_FUNC_KEYEXCH_DUPCTX, callable_from_c<duplicate_exchange, nullptr>),
    provider_entry(OSSL_FUNC_KEYEXCH_INIT, begin_exchange),
    provider_entry(OSSL_FUNC_KEYEXCH_SET_PEER, set_peer),
    provider_entry(OSSL_FUNC_KEYEXCH_DERIVE, derive),
    {0, nullptr},
}};

const std::array<OSSL_ALGORITHM, 2> kKeyManagements{{
    {kNames, kDefinition, kKeyManagement.data(), "X25519 keys of lib25519"},
    {nullptr, nullptr, nullptr, nullptr},
}};
const std::array<OSSL_ALGORITHM, 2> kKeyExchanges{{
    {kNames, kDefinition, kKeyExchange.data(), "X25519 by lib25519"},
    {nullptr, nullptr, nullptr, nullptr},
}};

const OSSL_ALGORITHM* algorithms(void*, int operation, int* no_cache) {
  *no_cache = 0;
  if (operation == OSSL_OP_KEYMGMT) return kKeyManagements.data();
  return operation == OSSL_OP_KEYEXCH ? kKeyExchanges.data() : nullptr;
}

// OpenSSL 3.0 takes a group only from the provider that has its keys, too. Later ones take it from any, and
// then know it twice.
int tell_groups(void*, const char* capability, OSSL_CALLBACK* tell, void* argument) {
  if (OPENSSL_strcasecmp(capability, "TLS-GROUP") != 0) return 1;
  static unsigned int id = 0x001d;  // RFC 8446, section 4.2.7
  static unsigned int security_bits = kSecurityBits;
  static int from_tls = TLS1_VERSION, from_dtls = DTLS1_VERSION, no_end = 0;
  static char name[] = "x25519", algorithm[] = "X25519";
  static const std::array<OSSL_PARAM, 10> kGroup{{
      OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_NAME, name, sizeof name),
      OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_NAME_INTERNAL, algorithm, sizeof algorithm),
      OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_ALG, algorithm, sizeof algorithm),
      OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_ID, &id),
      OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_SECURITY_BITS, &security_bits),
      OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_TLS, &from_tls),
      OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_TLS, &no_end),
      OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_DTLS, &from_dtls),
      OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_DTLS, &no_end),
      OSSL_PARAM_END,
  }};
  return tell(kGroup.data(), argument);
}

}  // namespace
}  // namespace x25519

std::string X25519Keys::implementation() {
  return "lib25519";
}

// OpenSSL takes the implementation that it came to know first where nobody asks for another. So it has to
// know its own before this one is there: then it uses that for every key that is none of a handshake. Where
// openssl.cnf leaves it without X25519, there is to be none.
Result<ProviderPtr> X25519Keys::load(OSSL_LIB_CTX* library) {
  const bool has_own = ask_openssl([&] {
                         const KeyManagementPtr keys(EVP_KEYMGMT_fetch(library, "X25519", nullptr));
                         const KeyExchangePtr exchange(EVP_KEYEXCH_fetch(library, "X25519", nullptr));
                         return keys && exchange ? 1 : 0;
                       }) == 1;
  if (!has_own) return ProviderPtr();
  return load_builtin_provider(library, x25519::kProvider,
                               start_builtin_provider<x25519::algorithms, x25519::tell_groups>);
}

}  // namespace headgate
