#include "tls/certificate.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/check.h"
#include "tls/certificate_material.h"
#include "tls/pem.h"

namespace headgate {
namespace {

constexpr auto kExpirySoon = std::chrono::hours(24 * 21);
constexpr int kWeakRsaBits = 2048;
constexpr int kDearRsaBits = 3072;  // above this, signing is what a handshake costs

// --- what a client can verify
// -------------------------------------------------------------------------------------

bool offers_any(const Uint16List& list, std::initializer_list<std::uint16_t> values) {
  return std::ranges::any_of(values, [&](std::uint16_t value) { return list.contains(value); });
}

/// SignatureScheme values of RFC 8446, section 4.2.3, and of draft-ietf-tls-mldsa for ML-DSA.
bool takes_tls13_signature(const Uint16List& schemes, KeyType type) {
  switch (type) {
    case KeyType::kP256:
      return schemes.contains(0x0403);
    case KeyType::kP384:
      return schemes.contains(0x0503);
    case KeyType::kP521:
      return schemes.contains(0x0603);
    case KeyType::kEd25519:
      return schemes.contains(0x0807);
    case KeyType::kEd448:
      return schemes.contains(0x0808);
    case KeyType::kMlDsa44:
      return schemes.contains(0x0904);
    case KeyType::kMlDsa65:
      return schemes.contains(0x0905);
    case KeyType::kMlDsa87:
      return schemes.contains(0x0906);
    case KeyType::kRsa:
      return offers_any(schemes, {0x0804, 0x0805, 0x0806});
    case KeyType::kRsaPss:
      return offers_any(schemes, {0x0809, 0x080a, 0x080b});
  }
  return false;
}

bool is_ecdsa(KeyType type) {
  return type == KeyType::kP256 || type == KeyType::kP384 || type == KeyType::kP521;
}

/// In TLS 1.2 a scheme names hash and algorithm, and the curve is one of the groups. RFC 8422, section 5.1.
bool takes_tls12_signature(const ClientHello& hello, KeyType type) {
  const Uint16List& schemes = hello.signature_algorithms;
  const bool says_nothing = schemes.empty();  // RFC 5246, section 7.4.1.4.1: then RSA and ECDSA are fine
  if (type == KeyType::kRsa)
    return says_nothing || offers_any(schemes, {0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806});
  if (!is_ecdsa(type)) return !says_nothing && takes_tls13_signature(schemes, type);
  const std::uint16_t curve = type == KeyType::kP256 ? 23 : type == KeyType::kP384 ? 24 : 25;
  return (says_nothing || offers_any(schemes, {0x0403, 0x0503, 0x0603})) &&
         (hello.groups.empty() || hello.groups.contains(curve));
}

bool offers_ecdsa_suite(const Uint16List& suites) {
  return offers_any(suites,
                    {0xc02b, 0xc02c, 0xcca9, 0xc023, 0xc024, 0xc009, 0xc00a, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af});
}

bool offers_rsa_suite(const Uint16List& suites) {
  return offers_any(suites, {0xc02f, 0xc030, 0xcca8, 0xc027, 0xc028, 0xc013, 0xc014, 0x009e, 0x009f, 0xccaa,
                             0x009c, 0x009d, 0x002f, 0x0035, 0x003c, 0x003d});
}

bool is_ml_dsa(KeyType type) {
  return type == KeyType::kMlDsa44 || type == KeyType::kMlDsa65 || type == KeyType::kMlDsa87;
}

// --- checks
// ---------------------------------------------------------------------------------------------------------

/// Collects what is wrong with one certificate.
class Findings {
 public:
  Findings(const CertificateInput& input, Diagnostics& out) : input_(input), out_(out), before_(out.size()) {}
  void error(std::string what, FileFault fault = FileFault::kOther) {
    out_.push_back({Severity::kError, input_.certificate_file, std::move(what), "certificate", fault});
  }
  void key_error(std::string what, FileFault fault = FileFault::kOther) {
    const bool one_file = input_.key_file == input_.certificate_file;
    out_.push_back({Severity::kError, input_.key_file, std::move(what),
                    one_file ? "certificate" : "private_key", fault});
  }
  void warn(std::string what) {
    out_.push_back({Severity::kWarning, input_.certificate_file, std::move(what), "certificate"});
  }
  [[nodiscard]] bool failed() const {
    return std::any_of(out_.begin() + static_cast<std::ptrdiff_t>(before_), out_.end(),
                       [](const Diagnostic& one) { return one.severity == Severity::kError; });
  }

 private:
  const CertificateInput& input_;
  Diagnostics& out_;
  std::size_t before_;
};

std::string date_text(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return text.data();
}

long long days_between(WallTime from, WallTime to) {
  return std::chrono::duration_cast<std::chrono::hours>(to - from).count() / 24;
}

bool is_certificate(const PemBlock& block) {
  return block.label == "CERTIFICATE" || block.label == "X509 CERTIFICATE";
}
bool is_private_key(const PemBlock& block) {
  return block.label.ends_with("PRIVATE KEY");
}
bool is_encrypted(const PemBlock& block) {
  return block.encrypted || block.label == "ENCRYPTED PRIVATE KEY";
}

bool looks_like_der(std::string_view text) {
  return text.size() > 4 && text[0] == '\x30' && text[1] == '\x82';
}

/// The PEM blocks of a file, or nothing and a finding.
std::optional<std::vector<PemBlock>> read_blocks(std::string_view text, auto report) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    report("the file is empty");
    return std::nullopt;
  }
  if (looks_like_der(text)) {
    report(
        "the file is DER; convert it to PEM with `openssl x509 -inform DER` or `openssl pkey -inform DER`");
    return std::nullopt;
  }
  auto blocks = parse_pem(text);
  if (!blocks) {
    report(blocks.error().what);
    return std::nullopt;
  }
  return std::move(*blocks);
}

/// The only private key among `blocks`.
const PemBlock* find_key(const std::vector<PemBlock>& blocks, Findings& findings) {
  const PemBlock* found = nullptr;
  for (const PemBlock& block : blocks) {
    if (!is_private_key(block)) continue;
    if (found != nullptr) {
      findings.key_error("there are two private keys, at lines " + std::to_string(found->line) + " and " +
                         std::to_string(block.line) + ": keep the one of the certificate");
      return nullptr;
    }
    found = &block;
  }
  if (found == nullptr) {
    findings.key_error("there is no private key in it; name its file with `private_key`");
    return nullptr;
  }
  if (is_encrypted(*found)) {
    findings.key_error(
        "the private key is encrypted with a passphrase; decrypt it with `openssl pkey -in FILE -out NEW`");
    return nullptr;
  }
  return found;
}

/// One certificate of a file, leaf or above.
struct Link {
  const PemBlock* block;
  CertificateFields fields;
};

std::vector<Link> read_links(const std::vector<PemBlock>& blocks, Findings& findings) {
  std::vector<Link> links;
  for (const PemBlock& block : blocks) {
    if (!is_certificate(block)) continue;
    auto fields = read_certificate(block.der);
    if (!fields) {
      findings.error("certificate " + std::to_string(links.size() + 1) + ", at line " +
                         std::to_string(block.line) + ": " + fields.error().what,
                     FileFault::kDamaged);
      return {};
    }
    links.push_back({&block, std::move(*fields)});
  }
  if (links.empty() && !findings.failed())
    findings.error("there is no certificate in it", FileFault::kDamaged);
  return links;
}

void check_chain_order(const std::vector<Link>& links, Findings& findings) {
  for (std::size_t i = 0; i + 1 < links.size(); ++i) {
    if (issued_by(links[i].fields, links[i + 1].fields)) continue;
    findings.error("certificate " + std::to_string(i + 2) + " of the file (\"" +
                   links[i + 1].fields.common_name + "\") did not issue the one before it (\"" +
                   links[i].fields.common_name + "\"): the leaf comes first, then each issuer in turn");
    return;
  }
}

/// Has OpenSSL compare, for keys whose DER does not show the public key.
KeyMatch compare_with_openssl(const Link& leaf, const PemBlock& key, Findings& findings) {
  auto certificate = parse_certificate(leaf.block->der, nullptr);
  auto private_key = parse_private_key(key.der, leaf.fields.key_type, nullptr);
  if (!certificate) findings.error(certificate.error().what);
  // A key of another type cannot be read as one of this type: that is a mismatch, too.
  if (!certificate || !private_key) return KeyMatch::kNo;
  const bool same = EVP_PKEY_eq(X509_get0_pubkey(certificate->get()), private_key->get()) == 1;
  return same ? KeyMatch::kYes : KeyMatch::kNo;
}

void check_key(const std::vector<Link>& links, const PemBlock& key, Findings& findings) {
  KeyMatch match = compare_key(key.der, links.front().fields);
  if (match == KeyMatch::kUnknown) match = compare_with_openssl(links.front(), key, findings);
  if (match == KeyMatch::kYes) return;
  for (std::size_t i = 1; i < links.size(); ++i) {
    if (compare_key(key.der, links[i].fields) != KeyMatch::kYes) continue;
    findings.error("the private key belongs to certificate " + std::to_string(i + 1) +
                       " of the file: put that one, the leaf, first",
                   FileFault::kKeyMismatch);
    return;
  }
  findings.error(
      "the private key is not the one of this certificate (\"" + links.front().fields.common_name + "\")",
      FileFault::kKeyMismatch);
}

void check_validity(const CertificateFields& leaf, WallTime now, Findings& findings) {
  if (now > leaf.not_after) {
    findings.error("the certificate has expired on " + date_text(leaf.not_after), FileFault::kExpired);
  } else if (now < leaf.not_before) {
    findings.error("the certificate is not valid before " + date_text(leaf.not_before),
                   FileFault::kNotYetValid);
  } else if (leaf.not_after - now < kExpirySoon) {
    findings.warn("the certificate expires in " + std::to_string(days_between(now, leaf.not_after)) +
                  " days, on " + date_text(leaf.not_after));
  }
}

void check_strength(const std::vector<Link>& links, Findings& findings) {
  const CertificateFields& leaf = links.front().fields;
  const bool rsa = leaf.key_type == KeyType::kRsa || leaf.key_type == KeyType::kRsaPss;
  if (rsa && leaf.key_bits < kWeakRsaBits) {
    findings.error("its RSA key of " + std::to_string(leaf.key_bits) +
                       " bits is too weak: use ECDSA P-256, or 2048 bits",
                   FileFault::kWeakKey);
  } else if (rsa && leaf.key_bits > kDearRsaBits) {
    findings.warn("its RSA-" + std::to_string(leaf.key_bits) + " key makes a full handshake cost about " +
                  std::to_string(kRsa4096HandshakePrice) + " times the CPU of one with ECDSA P-256");
  }
  for (const Link& link : links) {
    if (!link.fields.weak_digest) continue;
    if (link.fields.self_issued()) {
      findings.warn("\"" + link.fields.common_name + "\" is signed with SHA-1 or MD5");
    } else {
      findings.error("\"" + link.fields.common_name + "\" is signed with SHA-1 or MD5, which clients refuse",
                     FileFault::kWeakSignature);
    }
  }
}

void check_purpose(const std::vector<Link>& links, CertificatePurpose purpose, Findings& findings) {
  const CertificateFields& leaf = links.front().fields;
  if (purpose == CertificatePurpose::kServer && !leaf.for_servers) {
    findings.error("its extended key usage does not include serverAuth: it is no server certificate",
                   FileFault::kWrongPurpose);
  }
  if (purpose == CertificatePurpose::kClient && !leaf.for_clients) {
    findings.error("its extended key usage does not include clientAuth: it is no client certificate",
                   FileFault::kWrongPurpose);
  }
  if (purpose == CertificatePurpose::kClient) return;
  if (!leaf.has_san)
    findings.warn("it has no subject alternative name: today's clients ignore the common name");
  if (links.size() == 1 && !leaf.self_issued() && leaf.names_issuer_url) {
    findings.warn(
        "the intermediate certificate is missing: append it to the file, or clients that do not have it will "
        "refuse the connection");
  }
}

CertificateChain chain_of(const std::vector<Link>& links) {
  CertificateChain chain;
  for (std::size_t i = 1; i < links.size(); ++i) {
    const SecretBytes& der = links[i].block->der;
    chain.der.emplace_back(der.begin(), der.end());
  }
  return chain;
}

Sha256 digest_of(std::span<const std::byte> bytes) {
  Sha256 digest{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

std::shared_ptr<const StoredCertificate> store(const CertificateInput& input, const std::vector<Link>& links,
                                               const PemBlock& key, ChainPool& pool) {
  const Link& leaf = links.front();
  return std::make_shared<StoredCertificate>(StoredCertificate::Parts{
      .file = input.certificate_file,
      .leaf = leaf.block->der,
      .key = key.der,
      .names = leaf.fields.names,
      .chain = pool.intern(chain_of(links)),
      .staple = nullptr,
      .key_type = leaf.fields.key_type,
      .key_bits = leaf.fields.key_bits,
      .not_before = leaf.fields.not_before,
      .not_after = leaf.fields.not_after,
      .fingerprint = digest_of(leaf.block->der),
  });
}

}  // namespace

StoredCertificate::StoredCertificate(const Parts& parts)
    : leaf_size_(static_cast<std::uint32_t>(parts.leaf.size())),
      key_size_(static_cast<std::uint32_t>(parts.key.size())),
      file_size_(static_cast<std::uint32_t>(parts.file.size())),
      names_size_(0),
      key_type_(parts.key_type),
      key_bits_(parts.key_bits),
      chain_(parts.chain),
      staple_(parts.staple),
      not_before_(epoch_seconds(parts.not_before)),
      not_after_(epoch_seconds(parts.not_after)),
      fingerprint_(parts.fingerprint) {
  HG_CHECK(chain_ != nullptr);
  for (const std::string& one : parts.names) names_size_ += static_cast<std::uint32_t>(one.size() + 1);
  bytes_ = std::make_unique_for_overwrite<std::byte[]>(std::size_t{leaf_size_} + key_size_ + file_size_ +
                                                       names_size_);
  std::byte* at = bytes_.get();
  const auto append = [&at](const void* from, std::size_t size) {
    if (size != 0) std::memcpy(at, from, size);
    at += size;
  };
  append(parts.leaf.data(), leaf_size_);
  append(parts.key.data(), key_size_);
  append(parts.file.data(), file_size_);
  for (const std::string& one : parts.names) append(one.c_str(), one.size() + 1);
}

StoredCertificate::~StoredCertificate() {
  OPENSSL_cleanse(bytes_.get() + leaf_size_, key_size_);
}

std::string_view StoredCertificate::file() const {
  return {reinterpret_cast<const char*>(bytes_.get()) + leaf_size_ + key_size_, file_size_};
}

std::span<const std::byte> StoredCertificate::leaf_der() const {
  return {bytes_.get(), leaf_size_};
}

std::span<const std::byte> StoredCertificate::key_der() const {
  return {bytes_.get() + leaf_size_, key_size_};
}

std::vector<std::string_view> StoredCertificate::names() const {
  std::vector<std::string_view> all;
  const char* at = reinterpret_cast<const char*>(bytes_.get()) + leaf_size_ + key_size_ + file_size_;
  for (const char* end = at + names_size_; at != end; at += all.back().size() + 1) all.emplace_back(at);
  return all;
}

bool StoredCertificate::holds_name(std::string_view name) const {
  const char* at = reinterpret_cast<const char*>(bytes_.get()) + leaf_size_ + key_size_ + file_size_;
  for (const char* end = at + names_size_; at != end;) {
    const std::string_view one(at);
    if (one == name) return true;
    at += one.size() + 1;
  }
  return false;
}

const OcspStaple* StoredCertificate::staple_at(WallTime now) const {
  return staple_ != nullptr && now < staple_->next_update ? staple_.get() : nullptr;
}

std::size_t StoredCertificate::footprint_bytes() const {
  return sizeof(*this) + leaf_size_ + key_size_ + file_size_ + names_size_;
}

bool StoredCertificate::verifiable_by(const ClientHello& hello, std::uint16_t version) const {
  if (version >= kTls13Number) return takes_tls13_signature(hello.signature_algorithms, key_type_);
  if (is_ml_dsa(key_type_)) return false;  // defined for TLS 1.3 alone
  const bool rsa = key_type_ == KeyType::kRsa || key_type_ == KeyType::kRsaPss;
  const bool suite = rsa ? offers_rsa_suite(hello.cipher_suites) : offers_ecdsa_suite(hello.cipher_suites);
  return suite && takes_tls12_signature(hello, key_type_);
}

std::shared_ptr<const CertificateChain> ChainPool::intern(CertificateChain chain) {
  auto& slot = chains_[chain.der];
  if (slot == nullptr) slot = std::make_shared<const CertificateChain>(std::move(chain));
  return slot;
}

void ChainPool::drop_unused() {
  std::erase_if(chains_, [](const auto& one) { return one.second.use_count() == 1; });
}

std::shared_ptr<const StoredCertificate> check_certificate(const CertificateInput& input,
                                                           CertificatePurpose purpose, WallTime now,
                                                           ChainPool& pool, Diagnostics& out) {
  Findings findings(input, out);
  const auto blocks = read_blocks(
      input.certificate_pem, [&](std::string what) { findings.error(std::move(what), FileFault::kDamaged); });
  if (!blocks) return nullptr;
  const std::vector<Link> links = read_links(*blocks, findings);

  const bool one_file = input.key_file == input.certificate_file;
  std::optional<std::vector<PemBlock>> key_blocks;
  if (!one_file) {
    key_blocks = read_blocks(
        input.key_pem, [&](std::string what) { findings.key_error(std::move(what), FileFault::kDamaged); });
    if (!key_blocks) return nullptr;
  }
  const PemBlock* key = find_key(one_file ? *blocks : *key_blocks, findings);
  if (links.empty()) return nullptr;

  if (key != nullptr) check_key(links, *key, findings);
  if (!findings.failed()) check_chain_order(links, findings);
  check_validity(links.front().fields, now, findings);
  check_strength(links, findings);
  check_purpose(links, purpose, findings);
  if (key == nullptr || findings.failed()) return nullptr;
  return store(input, links, *key, pool);
}

std::shared_ptr<const StoredCertificate> with_staple(const StoredCertificate& certificate,
                                                     std::shared_ptr<const OcspStaple> staple) {
  std::vector<std::string> names;
  for (const std::string_view one : certificate.names()) names.emplace_back(one);
  return std::make_shared<StoredCertificate>(StoredCertificate::Parts{
      .file = std::string(certificate.file()),
      .leaf = certificate.leaf_der(),
      .key = certificate.key_der(),
      .names = std::move(names),
      .chain = certificate.shared_chain(),
      .staple = std::move(staple),
      .key_type = certificate.key_type(),
      .key_bits = static_cast<std::uint16_t>(certificate.key_bits()),
      .not_before = certificate.not_before(),
      .not_after = certificate.not_after(),
      .fingerprint = certificate.fingerprint(),
  });
}

}  // namespace headgate
