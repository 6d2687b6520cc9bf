#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include <openssl/sha.h>

#include "tls/certificate/certificate.h"
#include "tls/certificate/certificate_material.h"
#include "tls/certificate/pem.h"
#include "tls/library/asn1_time.h"
#include "tls/library/library_context.h"
#include "tls/library/openssl_call.h"
#include "tls/library/ssl_options.h"

namespace headgate {
namespace {

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
  void no_key() {
    key_error(input_.in_directory
                  ? "there is no private key in it; put the key into the file, or into a file with the same "
                    "name but for the ending .key"
                  : "there is no private key in it; name its file with `private_key`");
  }
  void not_yet_valid(WallTime from) {
    error("the certificate is not valid before " + date_text(from), FileFault::kNotYetValid);
    out_.back().usable_from = from;
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

/// "6 days", and "20 hours" below two days.
std::string time_between(WallTime from, WallTime to) {
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(to - from).count();
  return hours < 48 ? std::to_string(hours) + " hours" : std::to_string(hours / 24) + " days";
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
    findings.no_key();
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

/// Names the kind of a key that Headgate does not serve: its curve, or its algorithm.
std::string kind_of_key(const PemBlock& block) {
  const auto certificate = parse_certificate(block.der, nullptr);
  const ASN1_OBJECT* algorithm = nullptr;
  const ASN1_OBJECT* parameter = nullptr;
  X509_ALGOR* identifier = nullptr;
  int type = V_ASN1_UNDEF;
  if (certificate && X509_PUBKEY_get0_param(nullptr, nullptr, nullptr, &identifier,
                                            X509_get_X509_PUBKEY(certificate->get())) == 1) {
    const void* value = nullptr;
    X509_ALGOR_get0(&algorithm, &type, &value, identifier);
    if (type == V_ASN1_OBJECT) parameter = static_cast<const ASN1_OBJECT*>(value);
  }
  const auto named = [](const ASN1_OBJECT* object) {
    std::array<char, 80> text{};
    const int nid = OBJ_obj2nid(object);
    if (nid != NID_undef) return std::string(OBJ_nid2sn(nid));
    return OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object, 1) > 0 ? std::string(text.data())
                                                                                  : std::string("unknown");
  };
  if (algorithm == nullptr) return "this kind of key";
  if (OBJ_obj2nid(algorithm) != NID_X9_62_id_ecPublicKey) return "keys of the kind " + named(algorithm);
  return parameter == nullptr ? "a curve with explicit parameters" : "the curve " + named(parameter);
}

/// A key above the leaf is used by clients alone.
void check_kind_of_key(const Link& leaf, Findings& findings) {
  const KeyType type = leaf.fields.key_type;
  if (leaf.fields.has_known_key && !can_present(type))
    findings.error(LibraryContext::version() + " makes no TLS handshakes with " + std::string(name(type)) +
                   " keys: use ECDSA P-256 or RSA");
  if (leaf.fields.has_known_key && !leaf.fields.for_signatures) {
    const std::string usage = "its key usage does not allow digital signatures";
    if (minds_key_usage(type))
      findings.error(usage + ", and " + LibraryContext::version() + " makes no TLS handshakes with it then");
    else
      findings.warn(usage + ": clients that keep to RFC 8446, section 4.4.2.2, refuse it");
  }
  if (leaf.fields.has_known_key) return;
  findings.error("Headgate does not support " + kind_of_key(*leaf.block) + ": use ECDSA P-256 or RSA");
}

/// A bundle to which the leaf was appended a second time is common, and the repetition helps no client.
void leave_out_repeated(std::vector<Link>& links, Findings& findings) {
  std::set<std::string_view> seen;
  std::erase_if(links, [&](const Link& link) {
    const SecretBytes& der = link.block->der;
    const bool first = seen.emplace(reinterpret_cast<const char*>(der.data()), der.size()).second;
    if (!first) {
      findings.warn("the certificate at line " + std::to_string(link.block->line) + " (\"" +
                    link.fields.common_name + "\") is in the file a second time; it is left out");
    }
    return !first;
  });
}

/// The leaf's issuer must follow it. Certificates after the end of the chain, such as a second version of an
/// intermediate that another root has signed, do no harm: clients have to expect them (RFC 8446, section
/// 4.4.2).
void check_chain_order(const std::vector<Link>& links, Findings& findings) {
  std::size_t end = 1;
  while (end < links.size() && issued_by(links[end - 1].fields, links[end].fields)) ++end;
  if (end == links.size()) return;
  const std::string which = "certificate " + std::to_string(end + 1) + " of the file (\"" +
                            links[end].fields.common_name + "\") did not issue the one before it (\"" +
                            links[end - 1].fields.common_name + "\")";
  if (end == 1) {
    findings.error(which + ": the leaf comes first, then each issuer in turn");
  } else {
    findings.warn(which + "; the clients get it and all after it in addition to the chain");
  }
}

/// Has OpenSSL compare, for a key whose DER does not contain the public key.
KeyMatch compare_with_openssl(const Link& leaf, const PemBlock& key, Findings& findings) {
  auto certificate = parse_certificate(leaf.block->der, nullptr);
  auto private_key = parse_private_key(key.der, leaf.fields.key_type, nullptr);
  if (!certificate) findings.error(certificate.error().what);
  // A key of another type cannot be read as one of this type. That is a mismatch, too.
  if (!certificate || !private_key) return KeyMatch::kNo;
  const bool same = is_same_key(X509_get0_pubkey(certificate->get()), private_key->get());
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

void check_validity(const CertificateFields& leaf, const CertificateInput& input, WallTime now,
                    Findings& findings) {
  if (now > leaf.not_after) {
    findings.error("the certificate expired on " + date_text(leaf.not_after), FileFault::kExpired);
  } else if (now < leaf.not_before) {
    findings.not_yet_valid(leaf.not_before);
  } else if (now >= begin_of_last_share(leaf.not_before, leaf.not_after, input.warn_before_percent)) {
    findings.warn("the certificate expires in " + time_between(now, leaf.not_after) + ", on " +
                  date_text(leaf.not_after) + ": less than " + std::to_string(input.warn_before_percent) +
                  "% of its life is left");
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
    findings.warn(
        "its extended key usage does not include clientAuth, as with public CAs: a server that looks at it "
        "refuses it");
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

std::shared_ptr<const StoredCertificate> store(const std::string& file, const CertificateFields& fields,
                                               std::span<const std::byte> leaf,
                                               std::span<const std::byte> key,
                                               std::shared_ptr<const CertificateChain> chain) {
  return std::make_shared<StoredCertificate>(StoredCertificate::Parts{
      .file = file,
      .leaf = leaf,
      .key = key,
      .names = fields.names,
      .chain = std::move(chain),
      .staple = nullptr,
      .key_type = fields.key_type,
      .key_bits = fields.key_bits,
      .not_before = fields.not_before,
      .not_after = fields.not_after,
      .fingerprint = digest_of(leaf),
  });
}

}  // namespace

bool holds_authorities_alone(std::string_view pem) {
  const auto blocks = parse_pem(pem);
  return blocks && !blocks->empty() && std::ranges::all_of(*blocks, [](const PemBlock& block) {
           const auto fields = is_certificate(block)
                                   ? read_certificate(block.der)
                                   : Result<CertificateFields>(fail(ErrorKind::kInvalid, ""));
           return fields && fields->is_ca;
         });
}

std::shared_ptr<const StoredCertificate> restore_certificate(const std::string& file,
                                                             std::span<const std::byte> leaf,
                                                             std::span<const std::byte> key,
                                                             std::shared_ptr<const CertificateChain> chain) {
  const auto fields = read_certificate(leaf);
  return fields ? store(file, *fields, leaf, key, std::move(chain)) : nullptr;
}

WallTime begin_of_last_share(WallTime not_before, WallTime not_after, int percent) {
  return not_after - std::chrono::duration_cast<WallTime::duration>((not_after - not_before) / 100) * percent;
}

std::shared_ptr<const StoredCertificate> check_certificate(const CertificateInput& input,
                                                           CertificatePurpose purpose, WallTime now,
                                                           ChainPool& pool, Diagnostics& out) {
  Findings findings(input, out);
  const auto blocks = read_blocks(
      input.certificate_pem, [&](std::string what) { findings.error(std::move(what), FileFault::kDamaged); });
  if (!blocks) return nullptr;
  std::vector<Link> links = read_links(*blocks, findings);
  leave_out_repeated(links, findings);

  const bool one_file = input.key_file == input.certificate_file;
  std::optional<std::vector<PemBlock>> key_blocks;
  if (!one_file) {
    key_blocks = read_blocks(
        input.key_pem, [&](std::string what) { findings.key_error(std::move(what), FileFault::kDamaged); });
    if (!key_blocks) return nullptr;
  }
  const PemBlock* key = find_key(one_file ? *blocks : *key_blocks, findings);
  if (links.empty()) return nullptr;

  check_kind_of_key(links.front(), findings);
  if (key != nullptr && !findings.failed()) check_key(links, *key, findings);
  if (!findings.failed()) check_chain_order(links, findings);
  check_validity(links.front().fields, input, now, findings);
  check_strength(links, findings);
  check_purpose(links, purpose, findings);
  if (key == nullptr || findings.failed()) return nullptr;
  const Link& leaf = links.front();
  return store(input.certificate_file, leaf.fields, leaf.block->der, key->der, pool.intern(chain_of(links)));
}

}  // namespace headgate
