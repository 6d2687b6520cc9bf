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
  const ClientHello& hello;
  CanaryDraw draw;
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
  const StoredCertificate& first = in_file(0);
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    bool answers_for_default = i == 0;
    for (const std::string_view name : in_file(i).names()) {
      index_.push_back({hash_of(name), i});
      answers_for_default = answers_for_default || first.holds_name(name);
    }
    if (answers_for_default) defaults_.push_back(i);
    if (entries_[i].canary == nullptr) continue;
    has_canaries_ = true;
    for (const std::string_view name : entries_[i].canary->old()->names()) {
      if (!in_file(i).holds_name(name)) index_.push_back({hash_of(name), i});
    }
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
  for (auto& one : certificates) entries.push_back({std::move(one), {}, {}, {}, nullptr});
  return std::shared_ptr<const CertificateStore>(new CertificateStore(tls, std::move(entries)));
}

const StoredCertificate& CertificateStore::operator[](std::size_t i) const {
  return *shown(entries_[i], {}).certificate;
}

Selection CertificateStore::shown(const Entry& entry, CanaryDraw draw) {
  const StoredCertificate* in_file = entry.certificate.get();
  if (entry.canary == nullptr) return {.certificate = in_file};
  CertificateCanary& canary = *entry.canary;
  const StoredCertificate* old = canary.old().get();
  switch (canary.state()) {
    case CanaryState::kWentOn:
      return {.certificate = in_file};
    case CanaryState::kWentBack:
      return {.certificate = old};
    case CanaryState::kComparing:
      break;
  }
  return draw.number < canary.percent() ? Selection{.certificate = in_file, .group = &canary.with_new}
                                        : Selection{.certificate = old, .group = &canary.with_old};
}

// A name that only one of two compared certificates has says nothing about either: its client gets that one.
Selection CertificateStore::shown(const Entry& entry, CanaryDraw draw, std::string_view name) {
  const Selection drawn = shown(entry, draw);
  if (drawn.certificate->holds_name(name)) return drawn;
  if (drawn.group == nullptr) return {};
  const StoredCertificate* in_file = entry.certificate.get();
  const StoredCertificate* other = drawn.certificate == in_file ? entry.canary->old().get() : in_file;
  return {.certificate = other->holds_name(name) ? other : nullptr};
}

void CertificateStore::consider(Selection shown, std::string_view why, Candidates& best) {
  const bool verifiable = shown.certificate->verifiable_by(best.hello, best.version);
  Selection& place = verifiable ? best.verifiable : best.other;
  const bool better = place.certificate == nullptr ||
                      (place.why == why && shown.certificate->key_type() < place.certificate->key_type());
  shown.why = why;
  if (better) place = shown;
}

void CertificateStore::consider_name(std::string_view name, std::string_view why, Candidates& best) const {
  const std::uint64_t hash = hash_of(name);
  auto slot = std::ranges::lower_bound(index_, hash, {}, &NameSlot::hash);
  for (; slot != index_.end() && slot->hash == hash; ++slot) {
    const Selection one = shown(entries_[slot->entry], best.draw, name);
    if (one.certificate != nullptr) consider(one, why, best);
  }
}

std::string_view CertificateStore::why_default(const ClientHello& hello) const {
  return hello.server_name.empty() ? "default: the client named no server"
                                   : "default: no certificate has this name";
}

Selection CertificateStore::select(const ClientHello& hello, CanaryDraw draw) const {
  Candidates best{.hello = hello, .draw = draw, .verifiable = {}, .other = {}};
  best.version = max_version_ == config::TlsVersion::kTls13 && hello.offers_version(kTls13Number)
                     ? kTls13Number
                     : kTls12Number;
  if (!hello.server_name.empty()) {
    const std::string_view name = without_brackets(hello.server_name);
    consider_name(name, "exact name", best);
    if (best.verifiable.certificate == nullptr) consider_name(wildcard_for(name), "wildcard", best);
    if (best.verifiable.certificate != nullptr) return best.verifiable;
    // The client can verify none of those that have the name. The handshake fails, and says why.
    if (best.other.certificate != nullptr) return best.other;
    if (unknown_name_ == config::UnknownName::kReject)
      return {.certificate = nullptr, .why = "refused: no certificate has this name"};
  }
  for (const std::uint32_t entry : defaults_)
    consider(shown(entries_[entry], draw), why_default(hello), best);
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
  for (std::size_t i = 0; i < before.size(); ++i) {
    for (const std::string_view name : before[i].names()) {
      if (!holds_name(name)) lost.emplace_back(name);
    }
  }
  std::ranges::sort(lost);
  lost.erase(std::unique(lost.begin(), lost.end()), lost.end());
  return lost;
}

}  // namespace headgate
