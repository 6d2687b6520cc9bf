#include "tls/peer/revocation.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <optional>

#include "tls/certificate/pem.h"
#include "tls/library/asn1_time.h"
#include "tls/library/keys.h"
#include "tls/library/openssl_call.h"

namespace headgate {
namespace {

constexpr IssuedKey kEmpty{};

std::size_t hash_of(const IssuedKey& key) {
  std::size_t hash = 0;  // the key is the start of a digest already
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

/// Bytes behind a list may be a second one, whose certificates would pass.
Result<CrlPtr> parse_one(std::span<const std::byte> der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const auto* const end = at + der.size();
  auto list = call_openssl(ErrorKind::kMalformed, "a revocation list cannot be read",
                           [&] { return CrlPtr(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size()))); });
  if (list && at != end) {
    return fail(ErrorKind::kMalformed,
                "there are bytes behind a revocation list: DER has one list, write several as PEM");
  }
  return list;
}

/// The lists in a file, or why they cannot be read.
Result<std::vector<CrlPtr>> parse_lists(std::string_view bytes) {
  std::vector<CrlPtr> lists;
  const auto add = [&lists](std::span<const std::byte> der) -> Result<void> {
    return parse_one(der).map([&lists](CrlPtr list) { lists.push_back(std::move(list)); });
  };
  if (bytes.starts_with('\x30')) {
    if (auto added = add(std::as_bytes(std::span(bytes))); !added) return tl::unexpected(added.error());
  } else {
    const auto blocks = parse_pem(bytes);
    if (!blocks) return tl::unexpected(blocks.error());
    for (const PemBlock& block : *blocks) {
      if (block.label == "CERTIFICATE") continue;  // of the CA, in a file of both
      if (block.label != "X509 CRL")
        return fail(ErrorKind::kMalformed, "line " + std::to_string(block.line) + ": the block " +
                                               std::string(block.label) +
                                               " is no revocation list (X509 CRL)");
      if (auto added = add(block.der); !added) return tl::unexpected(added.error());
    }
  }
  if (lists.empty()) return fail(ErrorKind::kInvalid, "the file has no revocation list in it");
  return lists;
}

/// Whether a certificate may sign lists. RFC 5280, section 6.3.3 (f). Without a key usage, an authority may.
bool may_sign_lists(X509* issuer) {
  if ((X509_get_extension_flags(issuer) & EXFLAG_KUSAGE) != 0) {
    return (X509_get_key_usage(issuer) & KU_CRL_SIGN) != 0;
  }
  return X509_check_ca(issuer) != 0;
}

/// The certificate that signed a list: one that may sign lists, else another one; nullptr if there is none.
/// The signature tells authorities of one name apart.
X509* find_issuer(X509_CRL* list, const std::vector<X509*>& issuers) {
  X509* found = nullptr;
  for (X509* issuer : issuers) {
    if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(issuer)) != 0) continue;
    if (ask_openssl([&] { return X509_CRL_verify(list, X509_get0_pubkey(issuer)); }) != 1) continue;
    if (may_sign_lists(issuer)) return issuer;
    found = issuer;
  }
  return found;
}

/// What a list with an issuingDistributionPoint leaves out, as a part of a sentence. RFC 5280, section 5.2.5.
std::string scope_of(X509_CRL* list) {
  const DistributionPointPtr point(static_cast<ISSUING_DIST_POINT*>(
      X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, nullptr, nullptr)));
  if (point == nullptr) return "has an issuingDistributionPoint that cannot be read";
  if (point->indirectCRL > 0) return "is indirect: it has certificates of other issuers (indirectCRL)";
  if (point->onlyattr > 0) return "is about attribute certificates alone (onlyContainsAttributeCerts)";
  if (point->onlyCA > 0) return "is about certificates of CAs alone (onlyContainsCACerts)";
  if (point->onlyuser > 0) return "is not about certificates of CAs (onlyContainsUserCerts)";
  if (point->onlysomereasons != nullptr) return "is about some reasons alone (onlySomeReasons)";
  return "may be a part of its issuer's list: it is that of one distribution point";
}

/// The text of an extension's type: "issuingDistributionPoint", or numbers.
std::string type_text(X509_EXTENSION* extension) {
  std::array<char, 80> text{};
  OBJ_obj2txt(text.data(), static_cast<int>(text.size()), X509_EXTENSION_get_object(extension), 0);
  return text.data();
}

/// The first critical extension that is none of `known`. RFC 5280, sections 5.2 and 5.3.
std::optional<std::string> unknown_critical(const STACK_OF(X509_EXTENSION) * extensions,
                                            std::initializer_list<int> known) {
  for (int i = 0; i < static_cast<int>(sk_X509_EXTENSION_num(extensions)); ++i) {
    X509_EXTENSION* one = sk_X509_EXTENSION_value(extensions, i);
    const int type = OBJ_obj2nid(X509_EXTENSION_get_object(one));
    if (X509_EXTENSION_get_critical(one) == 0 || std::ranges::find(known, type) != known.end()) continue;
    return "has the critical extension " + type_text(one) + ", whose meaning Headgate does not know";
  }
  return std::nullopt;
}

std::optional<std::string> unknown_critical(X509_CRL* list) {
  if (auto unknown = unknown_critical(X509_CRL_get0_extensions(list),
                                      {NID_authority_key_identifier, NID_crl_number, NID_issuer_alt_name,
                                       NID_delta_crl, NID_issuing_distribution_point})) {
    return unknown;
  }
  STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(list);
  for (int i = 0; i < static_cast<int>(sk_X509_REVOKED_num(entries)); ++i) {
    const auto* extensions = X509_REVOKED_get0_extensions(sk_X509_REVOKED_value(entries, i));
    if (auto unknown =
            unknown_critical(extensions, {NID_crl_reason, NID_invalidity_date, NID_hold_instruction_code}))
      return "has an entry that " + *unknown;
  }
  return std::nullopt;
}

/// Why the list does not cover all certificates of its issuer, or does not stand alone, if that is so.
/// RFC 5280, sections 5.2.4 and 5.2.5.
std::optional<std::string> incomplete(X509_CRL* list) {
  if (X509_CRL_get_ext_by_NID(list, NID_delta_crl, -1) >= 0) return "is a delta list";
  if (X509_CRL_get_ext_by_NID(list, NID_issuing_distribution_point, -1) >= 0) return scope_of(list);
  return unknown_critical(list);
}

/// A list, and its issuer's trust_key() with each spelling of the name. The list and the certificates of the
/// issuer may write one name in different string types; RFC 5280, section 7.1, and X509_NAME_cmp() take them
/// for the same. The chain of a client has one of these certificates.
struct SpelledList {
  X509_CRL* list;
  std::vector<IssuedKey> spellings;
};

SpelledList spelled(X509_CRL* list, const std::vector<X509*>& issuers) {
  X509* issuer = find_issuer(list, issuers);
  SpelledList made{list, {trust_key(X509_CRL_get_issuer(list), issuer)}};
  for (X509* one : issuers) {
    if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(one)) != 0) continue;
    if (!is_same_key(X509_get0_pubkey(one), X509_get0_pubkey(issuer))) continue;
    const IssuedKey key = trust_key(one);
    if (std::ranges::find(made.spellings, key) == made.spellings.end()) made.spellings.push_back(key);
  }
  return made;
}

std::size_t entries_of(X509_CRL* list) {
  return static_cast<std::size_t>(
      std::max(0, static_cast<int>(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list)))));
}

std::string issuer_text(X509_CRL* list) {
  const TextPtr line(X509_NAME_oneline(X509_CRL_get_issuer(list), nullptr, 0));
  return line == nullptr ? "" : line.get();
}

/// The fault of a list, if it has one.
std::optional<std::string> fault_of(X509_CRL* list, X509* issuer, WallTime now) {
  const std::string which = "the revocation list of " + issuer_text(list);
  if (issuer == nullptr) return which + " is not signed by a certificate in the `ca` file";
  if (!may_sign_lists(issuer))
    return which + " is signed by a certificate that may not sign lists (keyUsage without cRLSign, or no CA)";
  if (const auto why = incomplete(list)) return which + ' ' + *why + ". A complete list is needed";
  if (wall_time(X509_CRL_get0_lastUpdate(list)) > now) return which + " is from the future";
  if (X509_CRL_get0_nextUpdate(list) == nullptr)
    return which + " does not say when the next one comes (nextUpdate)";
  if (wall_time(X509_CRL_get0_nextUpdate(list)) <= now) return which + " is out of date: fetch a current one";
  return std::nullopt;
}

}  // namespace

void RevocationList::insert(const IssuedKey& key) {
  std::size_t slot = hash_of(key) % slots_.size();
  while (slots_[slot] != kEmpty && slots_[slot] != key) slot = (slot + 1) % slots_.size();
  if (slots_[slot] == kEmpty) ++size_;
  slots_[slot] = key;
}

bool RevocationList::revokes(const IssuedKey& certificate) const {
  std::size_t slot = hash_of(certificate) % slots_.size();
  for (; slots_[slot] != kEmpty; slot = (slot + 1) % slots_.size()) {
    if (slots_[slot] == certificate) return true;
  }
  return false;
}

bool RevocationList::covers(const IssuedKey& issuer) const {
  return std::ranges::find(issuers_, issuer) != issuers_.end();
}

std::vector<IssuedKey> RevocationList::issuers_lost_since(const RevocationList& before) const {
  std::vector<IssuedKey> lost;
  for (const IssuedKey& issuer : before.issuers_) {
    if (!covers(issuer)) lost.push_back(issuer);
  }
  return lost;
}

std::vector<IssuedKey> RevocationList::revoked_since(const RevocationList* before) const {
  std::vector<IssuedKey> fresh;
  for (const IssuedKey& key : slots_) {
    if (key != kEmpty && (before == nullptr || !before->revokes(key))) fresh.push_back(key);
  }
  return fresh;
}

std::shared_ptr<const RevocationList> RevocationList::parse(std::string_view bytes, const std::string& file,
                                                            const std::vector<X509*>& issuers, WallTime now,
                                                            Diagnostics& out) {
  const auto error = [&](std::string what, FileFault fault) {
    out.push_back({Severity::kError, file, std::move(what), "crl", fault});
    return nullptr;
  };
  const auto lists = parse_lists(bytes);
  if (!lists) return error(lists.error().what, FileFault::kDamaged);

  std::vector<SpelledList> all;
  std::size_t count = 0;
  for (const CrlPtr& list : *lists) {
    if (auto fault = fault_of(list.get(), find_issuer(list.get(), issuers), now))
      return error(std::move(*fault), FileFault::kOther);
    all.push_back(spelled(list.get(), issuers));
    count += all.back().spellings.size() * entries_of(list.get());
  }
  const auto made = std::make_shared<RevocationList>();
  made->slots_.resize(2 * count + 8);  // at most half full and never empty
  for (const SpelledList& one : all) made->add(one.list, one.spellings);
  return made;
}

void RevocationList::add(X509_CRL* list, std::span<const IssuedKey> spellings) {
  STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(list);
  for (const IssuedKey& spelling : spellings) {
    issuers_.push_back(spelling);
    for (int i = 0; i < static_cast<int>(sk_X509_REVOKED_num(entries)); ++i) {
      insert(issued_key(spelling, X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i))));
    }
  }
  next_update_ = std::min(next_update_, wall_time(X509_CRL_get0_nextUpdate(list)));
}

}  // namespace headgate
