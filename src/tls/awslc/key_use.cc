#include "tls/awslc/key_use.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include <openssl/rsa.h>

#include "base/out_of_memory.h"
#include "tls/handshake/ssl_extra_data.h"
#include "tls/library/key_use.h"
#include "tls/library/offloading_keys.h"
#include "tls/library/openssl_call.h"

namespace headgate {
namespace {

/// Another owner of the same key.
PkeyPtr share_key(EVP_PKEY* key) {
  EVP_PKEY_up_ref(key);
  return PkeyPtr(key);
}

/// A signature or a decryption, with its result: empty where the library refused.
class KeyOperation : public PrivateKeyOperation {
 public:
  KeyOperation(EVP_PKEY* key, std::span<const std::uint8_t> in)
      : key_(share_key(key)), in_(in.begin(), in.end()) {}
  ~KeyOperation() override { OPENSSL_cleanse(result_.data(), result_.size()); }

  [[nodiscard]] std::span<const std::uint8_t> result() const { return result_; }

 protected:
  [[nodiscard]] EVP_PKEY* key() const { return key_.get(); }
  [[nodiscard]] std::span<const std::uint8_t> in() const { return in_; }
  [[nodiscard]] std::vector<std::uint8_t>& result_into() { return result_; }

 private:
  PkeyPtr key_;
  std::vector<std::uint8_t> in_;
  std::vector<std::uint8_t> result_;
};

/// RFC 8446, section 4.4.3; RFC 5246, section 7.4.3.
class Signature final : public KeyOperation {
 public:
  Signature(EVP_PKEY* key, std::uint16_t scheme, std::span<const std::uint8_t> message)
      : KeyOperation(key, message), scheme_(scheme) {}

 private:
  void compute() override {
    const DigestCtxPtr context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* parameters = nullptr;
    std::size_t size = static_cast<std::size_t>(EVP_PKEY_size(key()));
    result_into().resize(size);
    const bool made = ask_openssl([&] {
      return context != nullptr &&
             EVP_DigestSignInit(context.get(), &parameters, SSL_get_signature_algorithm_digest(scheme_),
                                nullptr, key()) == 1 &&
             set_padding(parameters) &&
             EVP_DigestSign(context.get(), result_into().data(), &size, in().data(), in().size()) == 1;
    });
    result_into().resize(made ? size : 0);
  }
  [[nodiscard]] bool set_padding(EVP_PKEY_CTX* parameters) const {
    return SSL_is_signature_algorithm_rsa_pss(scheme_) == 0 ||
           (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1);
  }

  std::uint16_t scheme_;
};

/// The decryption of an RSA key exchange. AWS-LC looks at the padding itself. RFC 5246, section 7.4.7.1.
class Decryption final : public KeyOperation {
 public:
  using KeyOperation::KeyOperation;

 private:
  void compute() override {
    RSA* rsa = EVP_PKEY_get0_RSA(key());
    std::size_t size = 0;
    result_into().resize(static_cast<std::size_t>(EVP_PKEY_size(key())));
    const bool made = ask_openssl([&] {
      return rsa != nullptr && RSA_decrypt(rsa, &size, result_into().data(), result_into().size(),
                                           in().data(), in().size(), RSA_NO_PADDING) == 1;
    });
    result_into().resize(made ? size : 0);
  }
};

/// What an SSL_CTX, or an SSL with a certificate of its own, has for the use of its private key.
struct KeyUse {
  PkeyPtr key;
  bool pauses = false;         // an SSL_CTX: before a signature, for a permit
  bool offloads = false;       // an SSL, as what follows
  bool awaits_permit = false;  // for `operation`
  bool handed_out = false;     // `operation`, to another thread
  std::uint16_t scheme = 0;
  std::shared_ptr<KeyOperation> operation;
};

void free_key_use(void*, void* use, CRYPTO_EX_DATA*, int, long, void*) {
  const std::unique_ptr<KeyUse> owned(static_cast<KeyUse*>(use));
}

int index_in_ssl() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_key_use);
  return index;
}
int index_in_context() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_key_use);
  return index;
}

KeyUse* find_use(const SSL* ssl) {
  return static_cast<KeyUse*>(SSL_get_ex_data(ssl, index_in_ssl()));
}
KeyUse* find_use(const SSL_CTX* context) {
  return static_cast<KeyUse*>(SSL_CTX_get_ex_data(context, index_in_context()));
}
bool keep(SSL* ssl, KeyUse* use) {
  return SSL_set_ex_data(ssl, index_in_ssl(), use) == 1;
}
bool keep(SSL_CTX* context, KeyUse* use) {
  return SSL_CTX_set_ex_data(context, index_in_context(), use) == 1;
}

/// That of `owner`, which is made when it is asked for first. Throws std::bad_alloc.
template <class Owner>
KeyUse& use_of(Owner* owner) {
  if (KeyUse* found = find_use(owner)) return *found;
  auto made = std::make_unique<KeyUse>();
  if (!keep(owner, made.get())) throw std::bad_alloc();
  return *made.release();
}

/// The key of its own certificate, or that of the context's.
EVP_PKEY* key_of(SSL* ssl) {
  if (const KeyUse& own = use_of(ssl); own.key != nullptr) return own.key.get();
  const KeyUse* of_context = find_use(SSL_get_SSL_CTX(ssl));
  return of_context == nullptr ? nullptr : of_context->key.get();
}

/// Goes on with the operation at hand: waits for the permit, performs the operation or hands it out, and
/// takes its result.
ssl_private_key_result_t go_on(SSL* ssl, std::uint8_t* out, std::size_t* out_size, std::size_t room) {
  KeyUse& use = use_of(ssl);
  if (use.awaits_permit && !std::exchange(extra_data_of(ssl)->full_permitted, false))
    return ssl_private_key_retry;
  use.awaits_permit = false;
  if (!use.operation->is_finished()) {
    if (use.handed_out) return ssl_private_key_failure;  // the handshake ends, and nobody waits any more
    use.handed_out = use.offloads && OffloadingKeys::hand_out(use.operation);
    if (use.handed_out) return ssl_private_key_retry;
    use.operation->perform();
  }
  const std::shared_ptr<KeyOperation> done = std::exchange(use.operation, nullptr);
  if (done->result().empty() || done->result().size() > room) return ssl_private_key_failure;
  std::ranges::copy(done->result(), out);
  *out_size = done->result().size();
  return ssl_private_key_success;
}

void begin(SSL* ssl, std::shared_ptr<KeyOperation> operation, bool waits) {
  KeyUse& use = use_of(ssl);
  use.operation = std::move(operation);
  use.awaits_permit = waits;
  use.handed_out = false;
}

ssl_private_key_result_t sign(SSL* ssl, std::uint8_t* out, std::size_t* out_size, std::size_t room,
                              std::uint16_t scheme, const std::uint8_t* message, std::size_t size) {
  EVP_PKEY* key = key_of(ssl);
  if (key == nullptr) return ssl_private_key_failure;
  const KeyUse* of_context = find_use(SSL_get_SSL_CTX(ssl));
  use_of(ssl).scheme = scheme;
  begin(ssl, std::make_shared<Signature>(key, scheme, std::span(message, size)),
        of_context != nullptr && of_context->pauses);
  return go_on(ssl, out, out_size, room);
}

ssl_private_key_result_t decrypt(SSL* ssl, std::uint8_t* out, std::size_t* out_size, std::size_t room,
                                 const std::uint8_t* ciphertext, std::size_t size) {
  EVP_PKEY* key = key_of(ssl);
  if (key == nullptr) return ssl_private_key_failure;
  begin(ssl, std::make_shared<Decryption>(key, std::span(ciphertext, size)), false);
  return go_on(ssl, out, out_size, room);
}

constexpr SSL_PRIVATE_KEY_METHOD kKeyMethod{
    .sign = callable_from_c<sign, ssl_private_key_failure>,
    .decrypt = callable_from_c<decrypt, ssl_private_key_failure>,
    .complete = callable_from_c<go_on, ssl_private_key_failure>,
};

}  // namespace

std::uint16_t scheme_of_own_signature(const SSL* ssl) {
  const KeyUse* use = find_use(ssl);
  return use == nullptr ? std::uint16_t{0} : use->scheme;
}

// AWS-LC's keys belong to no context, and any thread may use them.
Result<PkeyPtr> offload_key(PkeyPtr key, std::shared_ptr<const LibraryContext>, const LibraryContext&) {
  return key;
}

// AWS-LC forgets a key when it gets functions for its use, and so KeyUse keeps it. A certificate of the
// context with a key of another type stays where it is, but is not used: it has no key.
bool present(SSL* ssl, X509* leaf, EVP_PKEY* key, STACK_OF(X509) * chain) {
  if (SSL_use_certificate(ssl, leaf) != 1 || SSL_set1_chain(ssl, chain) != 1) return false;
  SSL_set_private_key_method(ssl, &kKeyMethod);
  use_of(ssl).key = share_key(key);
  return true;
}

bool present(SSL_CTX* context, X509* leaf, EVP_PKEY* key, STACK_OF(X509) * chain) {
  if (SSL_CTX_use_certificate(context, leaf) != 1 || SSL_CTX_set1_chain(context, chain) != 1) return false;
  SSL_CTX_set_private_key_method(context, &kKeyMethod);
  use_of(context).key = share_key(key);
  return true;
}

// Its callback for certificates comes before AWS-LC knows whether the handshake is a full one. So a handshake
// pauses where a ticket turns out to be of no use (tickets.cc), or else at its signature.
void pause_for_permits(SSL_CTX* context) {
  use_of(context).pauses = true;
}

void begin_offloading(SSL* ssl) {
  use_of(ssl).offloads = true;
}

void end_offloading(SSL* ssl) {
  if (KeyUse* use = find_use(ssl)) use->offloads = false;
}

}  // namespace headgate
