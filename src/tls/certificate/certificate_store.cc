#include "tls/certificate/certificate_store.h"

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

/// The best certificate so far that the client can verify, and the best one that it cannot verify.
struct CertificateStore::Candidates {
  const ClientHello& hello;
  CanaryDraw draw;
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
    for (const std::string_view name : in_file(i).names()) index_.push_back({hash_of_name(name), i});
    if (canary(i) == nullptr) continue;
    has_canaries_ = true;
    for (const std::string_view name : canary(i)->old()->names()) {
      if (!in_file(i).holds_name(name)) index_.push_back({hash_of_name(name), i});
    }
  }
  // Entries with the same name stay in the order of the configuration.
  std::ranges::sort(index_, [](const NameSlot& a, const NameSlot& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.listed < b.listed;
  });
  index_.shrink_to_fit();
}

void CertificateStore::find_defaults() {
  defaults_.clear();
  if (!listed_.empty()) defaults_.push_back({.listed = &listed_.front()});
  for (auto at = directories_.begin(); defaults_.empty() && at != directories_.end(); ++at) {
    if ((*at)->first() != nullptr) defaults_.push_back({.held = (*at)->first()->certificate.get()});
  }
  HG_CHECK(!defaults_.empty());
  const StoredCertificate& first = listed_.empty() ? *defaults_.front().held : in_file(0);
  const auto add = [this](Answer answer) {
    const auto same = [&](const Answer& one) {
      return one.listed == answer.listed && one.held == answer.held;
    };
    if (std::ranges::none_of(defaults_, same)) defaults_.push_back(answer);
  };
  for (const std::string_view name : first.names()) {
    for_each_with_name(name, [&](const Listed* listed, const StoredCertificate& one) {
      add(listed != nullptr ? Answer{.listed = listed} : Answer{.held = &one});
    });
  }
}

const StoredCertificate& CertificateStore::default_certificate() const {
  return listed_.empty() ? *defaults_.front().held : listed(0);
}

std::size_t CertificateStore::size() const {
  std::size_t size = listed_.size();
  for (const auto& directory : directories_) size += directory->size();
  return size;
}

bool CertificateStore::holds_rsa() const {
  const auto either_is_rsa = [](const Listed& one) {
    return is_rsa(one.held.certificate->key_type()) ||
           (one.canary != nullptr && is_rsa(one.canary->old()->key_type()));
  };
  return std::ranges::any_of(listed_, either_is_rsa) ||
         std::ranges::any_of(directories_, [](const auto& one) { return one->rsa_keys() > 0; });
}

std::shared_ptr<const CertificateStore> CertificateStore::of(
    const config::Tls& tls, std::vector<std::shared_ptr<const StoredCertificate>> certificates) {
  Contents contents{.listed = {}, .directories = {}, .chains = std::make_shared<ChainPool>()};
  for (auto& one : certificates)
    contents.listed.push_back({.held = {.certificate = std::move(one), .certificate_stamp = {}}});
  return std::shared_ptr<const CertificateStore>(new CertificateStore(tls, std::move(contents)));
}

/// Calls `see(const Listed*, const StoredCertificate&)` for each certificate in the order of the
/// configuration, those of a directory in order of file name and with nullptr.
template <class See>
void CertificateStore::for_each_with_name(std::string_view name, See&& see) const {
  const std::uint64_t hash = hash_of_name(name);
  auto slot = std::ranges::lower_bound(index_, hash, {}, &NameSlot::hash);
  for (; slot != index_.end() && slot->hash == hash; ++slot) {
    const StoredCertificate& one = in_file(slot->listed);
    if (one.holds_name(name)) see(&listed_[slot->listed], one);
  }
  for (const auto& directory : directories_) {
    directory->for_each_with_name(name, hash, [&](const StoredCertificate& one) { see(nullptr, one); });
  }
}

Selection CertificateStore::shown(const Listed& one, CanaryDraw draw) {
  const StoredCertificate* in_file = one.held.certificate.get();
  if (one.canary == nullptr) return {.certificate = in_file};
  CertificateCanary& canary = *one.canary;
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

// A client that asks for a name that only one of two compared certificates has gets that one, and is not
// counted.
Selection CertificateStore::shown(const Listed& one, CanaryDraw draw, std::string_view name) {
  const Selection drawn = shown(one, draw);
  if (drawn.certificate->holds_name(name)) return drawn;
  if (drawn.group == nullptr) return {};
  const StoredCertificate* in_file = one.held.certificate.get();
  const StoredCertificate* other = drawn.certificate == in_file ? one.canary->old().get() : in_file;
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
  const std::uint64_t hash = hash_of_name(name);
  auto slot = std::ranges::lower_bound(index_, hash, {}, &NameSlot::hash);
  for (; slot != index_.end() && slot->hash == hash; ++slot) {
    const Selection one = shown(listed_[slot->listed], best.draw, name);
    if (one.certificate != nullptr) consider(one, why, best);
  }
  for (const auto& directory : directories_) {
    directory->for_each_with_name(
        name, hash, [&](const StoredCertificate& one) { consider({.certificate = &one}, why, best); });
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
    // The client can verify none of the certificates with this name. The handshake fails and reports why.
    if (best.other.certificate != nullptr) return best.other;
    if (unknown_name_ == config::UnknownName::kReject)
      return {.certificate = nullptr, .why = "refused: no certificate has this name"};
  }
  for (const Answer& one : defaults_) {
    const Selection answer =
        one.listed != nullptr ? shown(*one.listed, draw) : Selection{.certificate = one.held};
    consider(answer, why_default(hello), best);
  }
  return best.verifiable.certificate != nullptr ? best.verifiable : best.other;
}

bool CertificateStore::holds_name(std::string_view name) const {
  bool found = false;
  for_each_with_name(name, [&](const Listed*, const StoredCertificate&) { found = true; });
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
