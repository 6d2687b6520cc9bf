#include "tls/library/aead_context.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "base/check.h"
#include "tls/library/openssl_call.h"
#include "tls/octets.h"
#include "tls/openssl/library_objects.h"

namespace headgate {
namespace {

// Content of up to this size is copied to its place and sealed there together with its type, which costs less
// than sealing the type separately.
constexpr std::size_t kCopiedContentBytes = 512;
constexpr std::size_t kCipherBlockBytes = 16;

/// The parameter list that names a tag, which is `kTagBytes` at `tag`.
std::array<OSSL_PARAM, 2> tag_params(void* tag) {
  return {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, kTagBytes),
          OSSL_PARAM_construct_end()};
}

bool encrypt_part(EVP_CIPHER_CTX* context, const std::byte* from, std::size_t size, std::byte* to) {
  int written = 0;
  return EVP_EncryptUpdate(context, as_octets(to), &written, as_octets(from), static_cast<int>(size)) == 1;
}

bool decrypt_part(EVP_CIPHER_CTX* context, const std::byte* from, std::size_t size, std::byte* to) {
  int written = 0;
  return EVP_DecryptUpdate(context, as_octets(to), &written, as_octets(from), static_cast<int>(size)) == 1;
}

/// Encrypts content and type to `to`.
bool encrypt_inner(EVP_CIPHER_CTX* context, std::byte type, std::span<const std::byte> content,
                   std::byte* to) {
  if (content.size() <= kCopiedContentBytes) {
    if (!content.empty()) std::memcpy(to, content.data(), content.size());
    to[content.size()] = type;
    return encrypt_part(context, to, content.size() + 1, to);
  }
  const std::size_t whole_blocks = content.size() - content.size() % kCipherBlockBytes;
  const std::span<const std::byte> rest = content.subspan(whole_blocks);
  std::array<std::byte, kCipherBlockBytes> tail;
  std::copy(rest.begin(), rest.end(), tail.begin());
  tail[rest.size()] = type;
  return encrypt_part(context, content.data(), whole_blocks, to) &&
         encrypt_part(context, tail.data(), rest.size() + 1, to + whole_blocks);
}

class OpensslContext final : public AeadContext {
 public:
  explicit OpensslContext(CipherCtxPtr cipher) : cipher_(std::move(cipher)) {}

  void set_key(AeadUse use, const TrafficKeys& keys) override;
  [[nodiscard]] bool seal(const Nonce& nonce, std::span<const std::byte> header,
                          std::span<const std::byte> content, std::byte type, std::byte* into) override;
  [[nodiscard]] bool open(const Nonce& nonce, std::span<const std::byte> header,
                          std::span<const std::byte> body, std::span<std::byte> into,
                          std::byte& last) override;

 private:
  CipherCtxPtr cipher_;
};

void OpensslContext::set_key(AeadUse use, const TrafficKeys& keys) {
  const auto* key = as_octets(keys.key.data());
  const auto* iv = as_octets(keys.iv.data());
  HG_CHECK(EVP_CipherInit_ex(cipher_.get(), nullptr, nullptr, key, iv, static_cast<int>(use)) == 1);
}

bool OpensslContext::seal(const Nonce& nonce, std::span<const std::byte> header,
                          std::span<const std::byte> content, std::byte type, std::byte* into) {
  EVP_CIPHER_CTX* context = cipher_.get();
  const std::size_t inner = content.size() + 1;
  auto tag = tag_params(into + inner);
  int written = 0;
  return EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1 &&
         encrypt_part(context, header.data(), header.size(), nullptr) &&
         encrypt_inner(context, type, content, into) &&
         EVP_EncryptFinal_ex(context, as_octets(into + inner), &written) == 1 &&
         EVP_CIPHER_CTX_get_params(context, tag.data()) == 1;
}

bool OpensslContext::open(const Nonce& nonce, std::span<const std::byte> header,
                          std::span<const std::byte> body, std::span<std::byte> into, std::byte& last) {
  EVP_CIPHER_CTX* context = cipher_.get();
  const std::size_t inner = body.size() - kTagBytes;
  const std::size_t placed = std::min(inner, into.size());
  std::byte final_block[kCipherBlockBytes];
  int written = 0;
  auto tag = tag_params(const_cast<std::byte*>(body.data() + inner));
  const bool authentic = EVP_DecryptInit_ex2(context, nullptr, nullptr, nonce.data(), tag.data()) == 1 &&
                         decrypt_part(context, header.data(), header.size(), nullptr) &&
                         (placed == 0 || decrypt_part(context, body.data(), placed, into.data())) &&
                         (placed == inner || decrypt_part(context, body.data() + placed, 1, &last)) &&
                         EVP_DecryptFinal_ex(context, as_octets(final_block), &written) == 1;
  if (!authentic) ERR_clear_error();
  return authentic;
}

class OpensslAlgorithm final : public AeadAlgorithm {
 public:
  explicit OpensslAlgorithm(CipherPtr cipher) : cipher_(std::move(cipher)) {}

  // The context knows its cipher from now on. Naming the cipher again would make OpenSSL build the context
  // anew. Without a key this fails for nothing but a lack of memory.
  [[nodiscard]] std::unique_ptr<AeadContext> new_context(AeadUse use) const override {
    CipherCtxPtr context(EVP_CIPHER_CTX_new());
    const bool made =
        context != nullptr && ask_openssl([&] {
                                return EVP_CipherInit_ex(context.get(), cipher_.get(), nullptr, nullptr,
                                                         nullptr, static_cast<int>(use));
                              }) == 1;
    if (!made) throw std::bad_alloc();
    return std::make_unique<OpensslContext>(std::move(context));
  }

 private:
  CipherPtr cipher_;
};

}  // namespace

std::unique_ptr<AeadAlgorithm> find_aead(const LibraryContext* library, RecordSuite suite) {
  const char* name = row(suite).cipher;
  CipherPtr cipher(ask_openssl([&] { return EVP_CIPHER_fetch(openssl_context(library), name, nullptr); }));
  return cipher == nullptr ? nullptr : std::make_unique<OpensslAlgorithm>(std::move(cipher));
}

}  // namespace headgate
