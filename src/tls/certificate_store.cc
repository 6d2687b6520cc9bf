#include "tls/certificate_store.h"

#include <algorithm>

#include "base/check.h"

namespace headgate {
namespace {

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

CertificateStore::CertificateStore(const config::Tls& tls, Contents contents)
    : unknown_name_(tls.unknown_name),
      max_version_(tls.max_version),
      listed_(std::move(contents.listed)),
      directories_(std::move(contents.directories)),
      chains_(std::move(contents.chains)) {
  build_index();
  find_defaults();
}

void CertificateStore::build_index() {
  for (std::uint32_t i = 0; i < listed_.size(); ++i) {
    for (const std::string_view name : listed_[i].held.certificate->names()) {
      index_.push_back({hash_of_name(name), i});
    }
  }
  // Entries of one name stay in the order in which they were configured.
  std::ranges::sort(index_, [](const NameSlot& a, const NameSlot& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.listed < b.listed;
  });
  index_.shrink_to_fit();
}

void CertificateStore::find_defaults() {
  if (!listed_.empty()) default_ = listed_.front().held.certificate.get();
  for (auto at = directories_.begin(); default_ == nullptr && at != directories_.end(); ++at) {
    if ((*at)->first() != nullptr) default_ = (*at)->first()->certificate.get();
  }
  HG_CHECK(default_ != nullptr);
  defaults_.push_back(default_);
  for (const std::string_view name : default_->names()) {
    for_each_with_name(name, [this](const StoredCertificate& one) {
      if (std::ranges::find(defaults_, &one) == defaults_.end()) defaults_.push_back(&one);
    });
  }
}

std::size_t CertificateStore::size() const {
  std::size_t size = listed_.size();
  for (const auto& directory : directories_) size += directory->size();
  return size;
}

bool CertificateStore::holds_rsa() const {
  const auto is_rsa = [](const Listed& one) {
    const KeyType type = one.held.certificate->key_type();
    return type == KeyType::kRsa || type == KeyType::kRsaPss;
  };
  return std::ranges::any_of(listed_, is_rsa) ||
         std::ranges::any_of(directories_, [](const auto& one) { return one->rsa_keys() > 0; });
}

std::shared_ptr<const CertificateStore> CertificateStore::of(
    const config::Tls& tls, std::vector<std::shared_ptr<const StoredCertificate>> certificates) {
  Contents contents{.listed = {}, .directories = {}, .chains = std::make_shared<ChainPool>()};
  for (auto& one : certificates)
    contents.listed.push_back({.held = {.certificate = std::move(one), .certificate_stamp = {}}});
  return std::shared_ptr<const CertificateStore>(new CertificateStore(tls, std::move(contents)));
}

/// In the order in which they were configured, those of a directory in order of file name.
template <class See>
void CertificateStore::for_each_with_name(std::string_view name, See&& see) const {
  const std::uint64_t hash = hash_of_name(name);
  auto slot = std::ranges::lower_bound(index_, hash, {}, &NameSlot::hash);
  for (; slot != index_.end() && slot->hash == hash; ++slot) {
    const StoredCertificate& one = *listed_[slot->listed].held.certificate;
    if (one.holds_name(name)) see(one);
  }
  for (const auto& directory : directories_) directory->for_each_with_name(name, hash, see);
}

void CertificateStore::consider(const StoredCertificate& certificate, std::string_view why,
                                const ClientHello& hello, Candidates& best) {
  Selection& place = certificate.verifiable_by(hello, best.version) ? best.verifiable : best.other;
  const bool better = place.certificate == nullptr ||
                      (place.why == why && certificate.key_type() < place.certificate->key_type());
  if (better) place = {&certificate, why};
}

void CertificateStore::consider_name(std::string_view name, std::string_view why, const ClientHello& hello,
                                     Candidates& best) const {
  for_each_with_name(name, [&](const StoredCertificate& one) { consider(one, why, hello, best); });
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
  for (const StoredCertificate* one : defaults_) consider(*one, why_default(hello), hello, best);
  return best.verifiable.certificate != nullptr ? best.verifiable : best.other;
}

bool CertificateStore::holds_name(std::string_view name) const {
  bool found = false;
  for_each_with_name(name, [&](const StoredCertificate&) { found = true; });
  return found;
}

std::vector<std::string> CertificateStore::names_lost_since(const CertificateStore& before) const {
  std::vector<std::string> lost;
  before.for_each([&](const StoredCertificate& one) {
    for (const std::string_view name : one.names()) {
      if (!holds_name(name)) lost.emplace_back(name);
    }
  });
  std::ranges::sort(lost);
  lost.erase(std::unique(lost.begin(), lost.end()), lost.end());
  return lost;
}

}  // namespace headgate
