#include "tls/peer/revocation.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "tls/certificate/pem.h"
#include "tls/openssl/asn1_time.h"
#include "tls/openssl/openssl_call.h"

namespace headgate {
namespace {

constexpr IssuedKey kEmpty{};

std::size_t hash_of(const IssuedKey& key) {
  std::size_t hash = 0;  // the key is the start of a digest already
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

Result<CrlPtr> parse_one(std::span<const std::byte> der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  return call_openssl(ErrorKind::kMalformed, "a revocation list cannot be read",
                      [&] { return CrlPtr(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size()))); });
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
      if (block.label != "X509 CRL") continue;
      if (auto added = add(block.der); !added) return tl::unexpected(added.error());
    }
  }
  if (lists.empty()) return fail(ErrorKind::kInvalid, "the file has no revocation list in it");
  return lists;
}

X509* find_issuer(X509_CRL* list, const std::vector<X509*>& issuers) {
  for (X509* issuer : issuers) {
    if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(issuer)) != 0) continue;
    if (ask_openssl([&] { return X509_CRL_verify(list, X509_get0_pubkey(issuer)); }) == 1) return issuer;
  }
  return nullptr;
}

/// Whether the list covers all certificates of its issuer and stands alone. RFC 5280, sections 5.2.4
/// and 5.2.5.
bool is_complete(X509_CRL* list) {
  if (X509_CRL_get_ext_by_NID(list, NID_delta_crl, -1) >= 0) return false;
  const DistributionPointPtr point(static_cast<ISSUING_DIST_POINT*>(
      X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, nullptr, nullptr)));
  if (point == nullptr) return true;
  return point->indirectCRL <= 0 && point->onlyattr <= 0 && point->onlysomereasons == nullptr;
}

std::string issuer_text(X509_CRL* list) {
  const TextPtr line(X509_NAME_oneline(X509_CRL_get_issuer(list), nullptr, 0));
  return line == nullptr ? "" : line.get();
}

/// The fault of a list, if it has one.
std::optional<std::string> fault_of(X509_CRL* list, const X509* issuer, WallTime now) {
  const std::string which = "the revocation list of " + issuer_text(list);
  if (issuer == nullptr) return which + " is not signed by a certificate in the `ca` file";
  if (!is_complete(list)) return which + " is a delta or partial list: a complete one is needed";
  if (wall_time(X509_CRL_get0_lastUpdate(list)) > now) return which + " is from the future";
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

  const auto made = std::make_shared<RevocationList>();
  std::size_t count = 0;
  for (const CrlPtr& list : *lists) {
    if (auto fault = fault_of(list.get(), find_issuer(list.get(), issuers), now))
      return error(std::move(*fault), FileFault::kOther);
    count += static_cast<std::size_t>(std::max(0, sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list.get()))));
  }
  // At most half full and never empty; twice that, because an issuer's name may be encoded in two ways.
  made->slots_.resize(4 * count + 8);
  for (const CrlPtr& list : *lists) made->add(list.get(), *find_issuer(list.get(), issuers));
  return made;
}

void RevocationList::add(X509_CRL* list, const X509& issuer) {
  // The list, the CA's certificate and the certificates it issued may encode the same name in different
  // string types; the certificate of a client has the CA's encoding.
  const X509_NAME* const spellings[] = {X509_CRL_get_issuer(list), X509_get_subject_name(&issuer)};
  STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(list);
  for (const X509_NAME* spelling : spellings) {
    issuers_.push_back(issuer_key(spelling));
    for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
      insert(issued_key(spelling, X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i))));
    }
  }
  next_update_ = std::min(next_update_, wall_time(X509_CRL_get0_nextUpdate(list)));
}

}  // namespace headgate
