#include "tls/record/hkdf.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/check.h"
#include "tls/octets.h"

// OpenSSL marks the functions of single hashes as deprecated in favour of EVP, which is too slow here.
// OpenSSL 3 keeps them.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace headgate {
namespace {

struct Sha256Function {
  static constexpr std::size_t kBytes = SHA256_DIGEST_LENGTH;
  static constexpr std::size_t kBlockBytes = SHA256_CBLOCK;
  SHA256_CTX state;
  Sha256Function() { SHA256_Init(&state); }
  void add(const void* data, std::size_t size) { SHA256_Update(&state, data, size); }
  void finish(unsigned char* into) { SHA256_Final(into, &state); }
};

struct Sha384Function {
  static constexpr std::size_t kBytes = SHA384_DIGEST_LENGTH;
  static constexpr std::size_t kBlockBytes = SHA512_CBLOCK;
  SHA512_CTX state;
  Sha384Function() { SHA384_Init(&state); }
  void add(const void* data, std::size_t size) { SHA384_Update(&state, data, size); }
  void finish(unsigned char* into) { SHA384_Final(into, &state); }
};

/// HMAC with one key for several messages. RFC 2104.
template <class Sha>
class Hmac {
 public:
  using Digest = std::array<std::byte, Sha::kBytes>;

  explicit Hmac(Octets key) {
    std::array<unsigned char, Sha::kBlockBytes> block{};
    if (key.size() > block.size()) {
      Sha hashed;
      hashed.add(key.data(), key.size());
      hashed.finish(block.data());
    } else if (!key.empty()) {
      std::memcpy(block.data(), key.data(), key.size());
    }
    for (unsigned char& octet : block) octet ^= kInnerPad;
    inner_.add(block.data(), block.size());
    for (unsigned char& octet : block) octet ^= kInnerPad ^ kOuterPad;
    outer_.add(block.data(), block.size());
    OPENSSL_cleanse(block.data(), block.size());
  }
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;
  ~Hmac() {
    OPENSSL_cleanse(&inner_, sizeof inner_);
    OPENSSL_cleanse(&outer_, sizeof outer_);
  }

  void digest(std::initializer_list<Octets> message, Digest& into) const {
    digest(std::span(message.begin(), message.size()), {}, into);
  }
  /// Of `first` and then each part of `rest`.
  void digest(std::span<const Octets> first, std::span<const Octets> rest, Digest& into) const {
    Sha inner = inner_;
    for (const Octets part : first) inner.add(part.data(), part.size());
    for (const Octets part : rest) inner.add(part.data(), part.size());
    unsigned char* octets = as_octets(into.data());
    inner.finish(octets);
    Sha outer = outer_;
    outer.add(octets, into.size());
    outer.finish(octets);
    OPENSSL_cleanse(&inner, sizeof inner);
    OPENSSL_cleanse(&outer, sizeof outer);
  }

 private:
  static constexpr unsigned char kInnerPad = 0x36;
  static constexpr unsigned char kOuterPad = 0x5c;
  Sha inner_;
  Sha outer_;
};

/// The struct HkdfLabel. RFC 8446, section 7.1.
class HkdfLabel {
 public:
  HkdfLabel(std::string_view label, Octets context, std::size_t output_bytes) {
    HG_CHECK(label.size() <= kMaxPartBytes && context.size() <= kMaxPartBytes);
    put(static_cast<std::byte>(output_bytes >> 8));
    put(static_cast<std::byte>(output_bytes));
    put(static_cast<std::byte>(kPrefix.size() + label.size()));
    put(std::as_bytes(std::span(kPrefix)));
    put(std::as_bytes(std::span(label)));
    put(static_cast<std::byte>(context.size()));
    put(context);
  }
  [[nodiscard]] Octets octets() const { return std::span(octets_).first(size_bytes_); }

 private:
  static constexpr std::string_view kPrefix = "tls13 ";
  static constexpr std::size_t kMaxPartBytes = 255 - kPrefix.size();

  void put(std::byte octet) { octets_[size_bytes_++] = octet; }
  void put(Octets part) {
    std::ranges::copy(part, octets_.begin() + static_cast<std::ptrdiff_t>(size_bytes_));
    size_bytes_ += part.size();
  }

  std::array<std::byte, 4 + 2 * 255> octets_;  // beyond size_bytes_: not set
  std::size_t size_bytes_ = 0;
};

template <class Sha>
void extract_with(Octets salt, Octets input, std::span<std::byte> into) {
  typename Hmac<Sha>::Digest key;
  Hmac<Sha>(salt).digest({input}, key);
  std::ranges::copy(key, into.begin());
  OPENSSL_cleanse(key.data(), key.size());
}

/// HKDF-Expand. RFC 5869, section 2.3.
template <class Sha>
void expand_with(Octets secret, Octets info, std::span<std::byte> into) {
  HG_CHECK(into.size() <= 255 * Sha::kBytes);
  const Hmac<Sha> hmac(secret);
  typename Hmac<Sha>::Digest block;
  Octets before;  // nothing before the first block
  std::byte counter{0};
  while (!into.empty()) {
    counter = static_cast<std::byte>(std::to_integer<unsigned>(counter) + 1);
    hmac.digest({before, info, Octets(&counter, 1)}, block);
    const std::size_t size = std::min(block.size(), into.size());
    std::memcpy(into.data(), block.data(), size);
    into = into.subspan(size);
    before = block;
  }
  OPENSSL_cleanse(block.data(), block.size());
}

template <class Sha>
void next_stage_with(Octets secret, std::string_view label, Octets input, std::span<std::byte> into) {
  constexpr std::array<std::byte, Sha::kBytes> kZeros{};
  const Octets added = input.empty() ? Octets(kZeros) : input;
  if (secret.empty()) return extract_with<Sha>({}, added, into);
  std::array<std::byte, Sha::kBytes> of_nothing;
  Sha().finish(as_octets(of_nothing.data()));
  std::array<std::byte, Sha::kBytes> salt;
  expand_with<Sha>(secret, HkdfLabel(label, of_nothing, salt.size()).octets(), salt);
  extract_with<Sha>(salt, added, into);
  OPENSSL_cleanse(salt.data(), salt.size());
}

template <class Sha>
void p_hash_with(Octets secret, std::span<const Octets> seed, std::span<std::byte> into) {
  const Hmac<Sha> hmac(secret);
  typename Hmac<Sha>::Digest a;
  typename Hmac<Sha>::Digest block;
  hmac.digest(seed, {}, a);
  while (!into.empty()) {
    const Octets before(a);
    hmac.digest({&before, 1}, seed, block);
    const std::size_t size = std::min(block.size(), into.size());
    std::memcpy(into.data(), block.data(), size);
    into = into.subspan(size);
    if (!into.empty()) hmac.digest({before}, a);
  }
  OPENSSL_cleanse(a.data(), a.size());
  OPENSSL_cleanse(block.data(), block.size());
}

}  // namespace

void extract(Hash hash, Octets salt, Octets input, std::span<std::byte> into) {
  hash == Hash::kSha256 ? extract_with<Sha256Function>(salt, input, into)
                        : extract_with<Sha384Function>(salt, input, into);
}

void expand_label(Hash hash, Octets secret, std::string_view label, Octets context,
                  std::span<std::byte> into) {
  const HkdfLabel info(label, context, into.size());
  hash == Hash::kSha256 ? expand_with<Sha256Function>(secret, info.octets(), into)
                        : expand_with<Sha384Function>(secret, info.octets(), into);
}

void next_stage(Hash hash, Octets secret, std::string_view label, Octets input, std::span<std::byte> into) {
  hash == Hash::kSha256 ? next_stage_with<Sha256Function>(secret, label, input, into)
                        : next_stage_with<Sha384Function>(secret, label, input, into);
}

void p_hash(Hash hash, Octets secret, std::span<const Octets> seed, std::span<std::byte> into) {
  hash == Hash::kSha256 ? p_hash_with<Sha256Function>(secret, seed, into)
                        : p_hash_with<Sha384Function>(secret, seed, into);
}

}  // namespace headgate

#pragma GCC diagnostic pop
