#include <algorithm>
#include <optional>

#include <openssl/sha.h>

#include "tls/certificate/certificate.h"
#include "tls/certificate/certificate_material.h"
#include "tls/certificate/pem.h"
#include "tls/openssl/asn1_time.h"
#include "tls/openssl/openssl_call.h"

namespace headgate {
namespace {

constexpr auto kExpirySoon = std::chrono::hours(24 * 21);
constexpr int kWeakRsaBits = 2048;
constexpr int kDearRsaBits = 3072;  // above this, signing is most of the cost of a handshake

/// Collects the faults of one certificate.
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

/// One certificate of a file: the leaf or an issuer.
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

/// Has OpenSSL compare, for a key whose DER does not contain the public key.
KeyMatch compare_with_openssl(const Link& leaf, const PemBlock& key, Findings& findings) {
  auto certificate = parse_certificate(leaf.block->der, nullptr);
  auto private_key = parse_private_key(key.der, leaf.fields.key_type, nullptr);
  if (!certificate) findings.error(certificate.error().what);
  // A key of another type cannot be read as one of this type. That is a mismatch, too.
  if (!certificate || !private_key) return KeyMatch::kNo;
  const int same =
      ask_openssl([&] { return EVP_PKEY_eq(X509_get0_pubkey(certificate->get()), private_key->get()); });
  return same == 1 ? KeyMatch::kYes : KeyMatch::kNo;
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
    findings.error("the certificate expired on " + date_text(leaf.not_after), FileFault::kExpired);
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
  const bool rsa = is_rsa(leaf.key_type);
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
    findings.error("its extended key usage does not include serverAuth: it is not a server certificate",
                   FileFault::kWrongPurpose);
  }
  if (purpose == CertificatePurpose::kClient && !leaf.for_clients) {
    findings.error("its extended key usage does not include clientAuth: it is not a client certificate",
                   FileFault::kWrongPurpose);
  }
  if (purpose == CertificatePurpose::kClient) return;
  if (!leaf.has_san)
    findings.warn("it has no subject alternative name; today's clients ignore the common name");
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

}  // namespace headgate
