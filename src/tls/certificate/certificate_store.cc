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
  WallTime now;
  CanaryDraw draw;
  std::uint16_t version = kTls12Number;
  Selection verifiable;
  Selection other;

  /// A certificate that is valid now comes before one that is not, whatever else speaks for that one. Of two
  /// for the same reason, the cheaper one to sign with comes first, and of two equal ones with the name the
  /// one that ends last: the other is a copy that nobody renews. Of equal defaults the first stays.
  [[nodiscard]] bool prefers(const Selection& one, const Selection& place) const {
    const StoredCertificate &a = *one.certificate, &b = *place.certificate;
    const bool valid = a.is_valid_at(now);
    if (valid != b.is_valid_at(now)) return valid;
    if (one.why != place.why) return false;
    if (a.key_type() != b.key_type()) return a.key_type() < b.key_type();
    return later_end_wins && a.not_after() > b.not_after();
  }
  [[nodiscard]] bool has_valid() const {
    return verifiable.certificate != nullptr && verifiable.certificate->is_valid_at(now);
  }
  bool later_end_wins = true;
};

CertificateStore::CertificateStore(const config::Tls& tls, Contents contents)
    : unknown_name_(tls.unknown_name),
      missing_name_(tls.missing_name),
      max_version_(tls.max_version),
      listed_(std::move(contents.listed)),
      directories_(std::move(contents.directories)),
      chains_(std::move(contents.chains)),
      refused_(std::move(contents.refused)) {
  build_index();
  find_defaults();
}

void CertificateStore::build_index() {
  index_.clear();
  has_canaries_ = false;
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
  if (is_empty()) return;
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
  HG_CHECK(!is_empty());
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

std::vector<CertificateInUse> CertificateStore::in_use() const {
  std::vector<CertificateInUse> all;
  for (const Listed& one : listed_) {
    const bool over = one.canary == nullptr || one.canary->state() == CanaryState::kWentOn;
    all.push_back({.held = one.held.certificate, .canary = over ? nullptr : one.canary});
  }
  for (const auto& [file, refused] : refused_) {
    for (const auto& directory : directories_) {
      const auto held = refused.kept ? directory->find_file(file) : nullptr;
      if (held != nullptr) all.push_back({.directory = directory->path(), .held = held->certificate});
    }
  }
  return all;
}

std::shared_ptr<const CertificateStore> CertificateStore::of_in_use(
    std::vector<CertificateInUse> certificates) {
  Contents contents{.listed = {}, .directories = {}, .chains = std::make_shared<ChainPool>()};
  std::map<std::string, std::vector<CertificateDirectory::Change>> directories;
  for (CertificateInUse& one : certificates) {
    // No stamps: the files are read again.
    HeldCertificate held{
        .certificate = one.held, .certificate_stamp = {}, .key_digest = digest_of_key(*one.held)};
    if (one.directory.empty()) {
      contents.listed.push_back({.held = std::move(held), .canary = std::move(one.canary)});
    } else {
      directories[one.directory].push_back(
          {std::string(one.held->file()), std::make_shared<const HeldCertificate>(std::move(held))});
    }
  }
  for (const auto& [path, changes] : directories) {
    contents.directories.push_back(
        std::make_shared<const CertificateDirectory>(CertificateDirectory(path), changes));
  }
  std::shared_ptr<CertificateStore> store(new CertificateStore({}, std::move(contents)));
  store->is_whole_ = false;
  return store;
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
  shown.why = why;
  if (place.certificate == nullptr || best.prefers(shown, place)) place = shown;
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

Selection CertificateStore::select(const ClientHello& hello, WallTime now, CanaryDraw draw) const {
  Candidates best{.hello = hello, .now = now, .draw = draw, .verifiable = {}, .other = {}};
  best.version = max_version_ == config::TlsVersion::kTls13 && hello.offers_version(kTls13Number)
                     ? kTls13Number
                     : kTls12Number;
  if (!hello.server_name.empty()) {
    const std::string_view name = without_brackets(hello.server_name);
    consider_name(name, "exact name", best);
    if (!best.has_valid()) consider_name(wildcard_for(name), "wildcard", best);
    if (best.verifiable.certificate != nullptr) return best.verifiable;
    // The client can verify none of the certificates with this name. The handshake fails and reports why.
    if (best.other.certificate != nullptr) return best.other;
    if (unknown_name_ == config::UncoveredName::kReject)
      return {.certificate = nullptr, .why = "refused: no certificate has this name"};
  } else if (missing_name_ == config::UncoveredName::kReject) {
    return {.certificate = nullptr, .why = "refused: the client named no server"};
  }
  if (is_empty()) return {.certificate = nullptr, .why = "refused: the listener has no certificate"};
  best.later_end_wins = false;
  for (const Answer& one : defaults_) {
    const Selection answer =
        one.listed != nullptr ? shown(*one.listed, draw) : Selection{.certificate = one.held};
    consider(answer, why_default(hello), best);
  }
  return best.verifiable.certificate != nullptr ? best.verifiable : best.other;
}

bool CertificateStore::covers_name(std::string_view name) const {
  bool found = false;
  const auto see = [&](const Listed*, const StoredCertificate&) { found = true; };
  for_each_with_name(name, see);
  if (!found) for_each_with_name(wildcard_for(name), see);
  return found;
}

bool CertificateStore::serves_name(std::string_view name, WallTime now) const {
  bool found = false;
  const auto see = [&](const Listed*, const StoredCertificate& one) {
    found = found || one.is_valid_at(now);
  };
  for_each_with_name(name, see);
  if (!found) for_each_with_name(wildcard_for(name), see);
  return found;
}

}  // namespace headgate
