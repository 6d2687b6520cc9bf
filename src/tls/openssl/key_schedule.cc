#include "tls/openssl/key_schedule.h"

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>

#include "base/check.h"
#include "base/text_of.h"
#include "tls/library/openssl_call.h"
#include "tls/library/secret_capture.h"
#include "tls/octets.h"
#include "tls/openssl/builtin_provider.h"
#include "tls/record/hkdf.h"

namespace headgate {
namespace {

constexpr const char* kScheduleProvider = "headgate";
constexpr const char* kScheduleDefinition = "provider=headgate,headgate.own=yes";
constexpr const char* kPreferred = "?provider=headgate";
constexpr std::string_view kTls13Prefix = "tls13 ";
// A label, two randoms, and what the extended master secret adds: OpenSSL sends at most five.
constexpr std::size_t kMaxSeedParts = 8;

thread_local SecretCapture* capture_of_thread = nullptr;

using Params = const OSSL_PARAM*;

bool is(const OSSL_PARAM& param, const char* name) {
  return std::string_view(param.key) == name;
}

Octets octets_of(const OSSL_PARAM& param) {
  if (param.data_type != OSSL_PARAM_OCTET_STRING || param.data == nullptr) return {};
  return {static_cast<const std::byte*>(param.data), param.data_size};
}

/// The hash with one of the names that OpenSSL has for it; nullopt for a hash that no suite here uses.
std::optional<Hash> hash_of(const OSSL_PARAM& param) {
  if (param.data_type != OSSL_PARAM_UTF8_STRING || param.data == nullptr) return std::nullopt;
  const std::string_view name(static_cast<const char*>(param.data));
  if (name == "SHA2-256" || name == "SHA256" || name == "SHA-256") return Hash::kSha256;
  if (name == "SHA2-384" || name == "SHA384" || name == "SHA-384") return Hash::kSha384;
  return std::nullopt;
}

/// The parameters of one derivation of TLS 1.3.
struct Derivation {
  std::optional<Hash> hash;
  int mode = -1;
  Octets key;
  Octets salt;
  Octets data;
  std::string_view prefix;
  std::string_view label;
};

Derivation read_derivation(Params params) {
  Derivation asked;
  for (Params param = params; param != nullptr && param->key != nullptr; ++param) {
    if (is(*param, OSSL_KDF_PARAM_DIGEST)) asked.hash = hash_of(*param);
    if (is(*param, OSSL_KDF_PARAM_MODE) && OSSL_PARAM_get_int(param, &asked.mode) != 1) asked.mode = -1;
    if (is(*param, OSSL_KDF_PARAM_KEY)) asked.key = octets_of(*param);
    if (is(*param, OSSL_KDF_PARAM_SALT)) asked.salt = octets_of(*param);
    if (is(*param, OSSL_KDF_PARAM_DATA)) asked.data = octets_of(*param);
    if (is(*param, OSSL_KDF_PARAM_PREFIX)) asked.prefix = text_of(octets_of(*param));
    if (is(*param, OSSL_KDF_PARAM_LABEL)) asked.label = text_of(octets_of(*param));
  }
  return asked;
}

void capture(std::string_view label, Octets secret) {
  if (capture_of_thread == nullptr) return;
  if (label == "c ap traffic") capture_of_thread->client = TrafficSecret(secret);
  if (label == "s ap traffic") capture_of_thread->server = TrafficSecret(secret);
  if (label == "res master") capture_of_thread->resumption = TrafficSecret(secret);
}

int derive_tls13(void*, unsigned char* out, std::size_t size, Params params) {
  const Derivation asked = read_derivation(params);
  const std::span<std::byte> into(reinterpret_cast<std::byte*>(out), size);
  const bool label_fits = asked.prefix == kTls13Prefix && asked.label.size() + asked.data.size() <= 249;
  if (!asked.hash || !label_fits) return 0;
  if (asked.mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY) {
    if (size != size_bytes(*asked.hash)) return 0;
    next_stage(*asked.hash, asked.salt, asked.label, asked.key, into);
    return 1;
  }
  if (asked.mode != EVP_KDF_HKDF_MODE_EXPAND_ONLY || asked.key.empty() || size > size_bytes(*asked.hash))
    return 0;
  expand_label(*asked.hash, asked.key, asked.label, asked.data, into);
  capture(asked.label, into);
  return 1;
}

int derive_tls12(void*, unsigned char* out, std::size_t size, Params params) {
  std::optional<Hash> hash;
  Octets secret;
  std::array<Octets, kMaxSeedParts> seed;
  std::size_t parts = 0;
  for (Params param = params; param != nullptr && param->key != nullptr; ++param) {
    if (is(*param, OSSL_KDF_PARAM_DIGEST)) hash = hash_of(*param);
    if (is(*param, OSSL_KDF_PARAM_SECRET)) secret = octets_of(*param);
    if (!is(*param, OSSL_KDF_PARAM_SEED)) continue;
    if (parts == seed.size()) return 0;
    seed[parts++] = octets_of(*param);
  }
  if (!hash || parts == 0) return 0;
  p_hash(*hash, secret, std::span(seed).first(parts), {reinterpret_cast<std::byte*>(out), size});
  return 1;
}

// OpenSSL passes all parameters in the call that derives, so a context has no state, and the provider's own
// address serves as every context.
void* new_context(void* provider) {
  return provider;
}
void free_context(void*) {}

const std::array<OSSL_DISPATCH, 4> kTls13Kdf{{
    provider_entry(OSSL_FUNC_KDF_NEWCTX, new_context),
    provider_entry(OSSL_FUNC_KDF_FREECTX, free_context),
    provider_entry(OSSL_FUNC_KDF_DERIVE, derive_tls13),
    {0, nullptr},
}};
const std::array<OSSL_DISPATCH, 4> kTls12Kdf{{
    provider_entry(OSSL_FUNC_KDF_NEWCTX, new_context),
    provider_entry(OSSL_FUNC_KDF_FREECTX, free_context),
    provider_entry(OSSL_FUNC_KDF_DERIVE, derive_tls12),
    {0, nullptr},
}};
const std::array<OSSL_ALGORITHM, 3> kAlgorithms{{
    {OSSL_KDF_NAME_TLS1_3_KDF, kScheduleDefinition, kTls13Kdf.data(), "the key schedule of TLS 1.3"},
    {OSSL_KDF_NAME_TLS1_PRF, kScheduleDefinition, kTls12Kdf.data(), "the pseudorandom function of TLS 1.2"},
    {nullptr, nullptr, nullptr, nullptr},
}};

const OSSL_ALGORITHM* schedule_algorithms(void*, int operation, int* no_cache) {
  *no_cache = 0;
  return operation == OSSL_OP_KDF ? kAlgorithms.data() : nullptr;
}

/// Whether openssl.cnf asks for FIPS: by default properties, or by providers of which the FIPS module is the
/// one that hashes.
bool is_for_fips(OSSL_LIB_CTX* library) {
  if (EVP_default_properties_is_fips_enabled(library) == 1) return true;
  bool module_hashes = false;
  ask_openssl([&] {
    const DigestPtr digest(EVP_MD_fetch(library, "SHA2-256", nullptr));
    if (digest == nullptr) return 0;
    module_hashes = text_of(OSSL_PROVIDER_get0_name(EVP_MD_get0_provider(digest.get()))) == "fips";
    return 1;
  });
  return module_hashes;
}

}  // namespace

Result<KeySchedule> KeySchedule::load(OSSL_LIB_CTX* library) {
  if (is_for_fips(library)) return KeySchedule(nullptr, nullptr);
  auto provider =
      load_builtin_provider(library, kScheduleProvider, start_builtin_provider<schedule_algorithms>);
  if (!provider) return tl::unexpected(std::move(provider.error()));
  return KeySchedule(*std::move(provider), kPreferred);
}

CapturingSecrets::CapturingSecrets(const SSL* ssl, SecretCapture* into) : ssl_(ssl), into_(into) {
  HG_CHECK(capture_of_thread == nullptr);
  capture_of_thread = into;
}

CapturingSecrets::~CapturingSecrets() {
  capture_of_thread = nullptr;
}

}  // namespace headgate
