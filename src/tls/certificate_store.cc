#include "tls/certificate_store.h"

#include <algorithm>
#include <functional>

#include "base/check.h"

namespace headgate {
namespace {

std::uint64_t hash_of(std::string_view name) {
  return std::hash<std::string_view>{}(name);
}

/// "[2001:db8::1]" without its brackets: some clients send an address as a name, in a URL's form.
std::string_view without_brackets(std::string_view name) {
  const bool bracketed = name.size() > 2 && name.front() == '[' && name.back() == ']';
  return bracketed ? name.substr(1, name.size() - 2) : name;
}

/// "*.example.com" for "www.example.com"; empty when there is no label to replace.
std::string wildcard_for(std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || dot == 0) return {};
  return "*" + std::string(name.substr(dot));
}

}  // namespace

/// The best certificate so far that the client can verify, and the best one it cannot.
struct CertificateStore::Candidates {
  std::uint16_t version = kTls12Number;
  Selection verifiable;
  Selection other;
};

CertificateStore::CertificateStore(const config::Tls& tls, std::vector<Entry> entries)
    : unknown_name_(tls.unknown_name), max_version_(tls.max_version), entries_(std::move(entries)) {
  HG_CHECK(!entries_.empty());
  build_index();
}

void CertificateStore::build_index() {
  const StoredCertificate& first = default_certificate();
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    bool answers_for_default = i == 0;
    for (const std::string_view name : entries_[i].certificate->names()) {
      index_.push_back({hash_of(name), i});
      answers_for_default = answers_for_default || first.holds_name(name);
    }
    if (answers_for_default) defaults_.push_back(i);
  }
  // Entries of one name stay in the order in which they were configured.
  std::ranges::sort(index_, [](const NameSlot& a, const NameSlot& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.entry < b.entry;
  });
  index_.shrink_to_fit();
}

std::shared_ptr<const CertificateStore> CertificateStore::of(
    const config::Tls& tls, std::vector<std::shared_ptr<const StoredCertificate>> certificates) {
  std::vector<Entry> entries;
  for (auto& one : certificates) entries.push_back({std::move(one), {}, {}, {}});
  return std::shared_ptr<const CertificateStore>(new CertificateStore(tls, std::move(entries)));
}

void CertificateStore::consider(std::uint32_t entry, std::string_view why, const ClientHello& hello,
                                Candidates& best) const {
  const StoredCertificate* certificate = entries_[entry].certificate.get();
  Selection& place = certificate->verifiable_by(hello, best.version) ? best.verifiable : best.other;
  const bool better = place.certificate == nullptr ||
                      (place.why == why && certificate->key_type() < place.certificate->key_type());
  if (better) place = {certificate, why};
}

void CertificateStore::consider_name(std::string_view name, std::string_view why, const ClientHello& hello,
                                     Candidates& best) const {
  const std::uint64_t hash = hash_of(name);
  auto slot = std::ranges::lower_bound(index_, hash, {}, &NameSlot::hash);
  for (; slot != index_.end() && slot->hash == hash; ++slot) {
    if (entries_[slot->entry].certificate->holds_name(name)) consider(slot->entry, why, hello, best);
  }
}

std::string_view CertificateStore::why_default(const ClientHello& hello) const {
  return hello.server_name.empty() ? "default: the client named no server"
                                   : "default: no certificate has this name";
}

Selection CertificateStore::select(const ClientHello& hello) const {
  Candidates best;
  best.version = max_version_ == config::TlsVersion::kTls13 && hello.offers_version(kTls13Number)
                     ? kTls13Number
                     : kTls12Number;
  if (!hello.server_name.empty()) {
    const std::string_view name = without_brackets(hello.server_name);
    consider_name(name, "exact name", hello, best);
    if (best.verifiable.certificate == nullptr) consider_name(wildcard_for(name), "wildcard", hello, best);
    if (best.verifiable.certificate != nullptr) return best.verifiable;
    // The client can verify none of those that have the name. The handshake fails, and says why.
    if (best.other.certificate != nullptr) return best.other;
    if (unknown_name_ == config::UnknownName::kReject)
      return {nullptr, "refused: no certificate has this name"};
  }
  for (const std::uint32_t entry : defaults_) consider(entry, why_default(hello), hello, best);
  return best.verifiable.certificate != nullptr ? best.verifiable : best.other;
}

bool CertificateStore::holds_name(std::string_view name) const {
  const std::uint64_t hash = hash_of(name);
  auto slot = std::ranges::lower_bound(index_, hash, {}, &NameSlot::hash);
  for (; slot != index_.end() && slot->hash == hash; ++slot) {
    if (entries_[slot->entry].certificate->holds_name(name)) return true;
  }
  return false;
}

std::vector<std::string> CertificateStore::names_lost_since(const CertificateStore& before) const {
  std::vector<std::string> lost;
  for (const Entry& entry : before.entries_) {
    for (const std::string_view name : entry.certificate->names()) {
      if (!holds_name(name)) lost.emplace_back(name);
    }
  }
  std::ranges::sort(lost);
  lost.erase(std::unique(lost.begin(), lost.end()), lost.end());
  return lost;
}

}  // namespace headgate
