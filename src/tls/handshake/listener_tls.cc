#include "tls/handshake/listener_tls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include <openssl/sha.h>

#include "config/validate.h"
#include "tls/certificate/certificate_material.h"
#include "tls/certificate/pem.h"
#include "tls/handshake/secret_file.h"
#include "tls/handshake/trial_handshake.h"
#include "tls/library/algorithms.h"
#include "tls/library/asn1_time.h"
#include "tls/library/openssl_call.h"
#include "tls/peer/revocation.h"

namespace headgate {
namespace {

/// Makes a digest of the parts that sessions depend on, each with its length before it so that parts cannot
/// run into each other.
class PolicyDigest {
 public:
  void add(std::string_view part) { text_.append(std::to_string(part.size())).append(":").append(part); }
  void add(std::span<const std::byte> part) {
    add(std::string_view(reinterpret_cast<const char*>(part.data()), part.size()));
  }
  void add(const std::vector<std::string>& parts) {
    add(std::to_string(parts.size()));
    for (const std::string& part : parts) add(part);
  }
  [[nodiscard]] std::array<std::byte, 32> finish() const {
    std::array<std::byte, 32> digest{};
    SHA256(reinterpret_cast<const unsigned char*>(text_.data()), text_.size(),
           reinterpret_cast<unsigned char*>(digest.data()));
    return digest;
  }

 private:
  std::string text_;
};

std::array<std::byte, 32> policy_of(const std::string& listener, const ClientRules& rules) {
  const config::ClientAuth& auth = rules.settings;
  PolicyDigest digest;
  digest.add(listener);
  digest.add(std::to_string(static_cast<int>(auth.mode)));
  digest.add(std::to_string(static_cast<int>(auth.purpose)));
  for (const ClientCas& cas : rules.cas) {
    digest.add(cas.trust_domain);
    digest.add(std::to_string(cas.ders.size()));
    for (const auto& der : cas.ders) digest.add(der);
  }
  for (const auto* list : {&auth.allow.spiffe, &auth.allow.uri, &auth.allow.dns, &auth.allow.common_name,
                           &auth.allow.organizational_unit, &auth.allow.fingerprint}) {
    digest.add(*list);
  }
  // The digest of rules without these is that of earlier versions, whose sessions go on.
  if (!auth.allow.public_key.empty()) digest.add(auth.allow.public_key);
  if (rules.only_count) digest.add("dry run");
  return digest.finish();
}

/// Reads the files that client authentication needs.
class ClientAuthLoader {
 public:
  /// `previous`: the same rules before, nullptr where there were none.
  ClientAuthLoader(const config::ClientAuth& settings, const ClientRules* previous, WallTime now,
                   Diagnostics& out)
      : settings_(settings), previous_(previous), now_(now), out_(out) {}

  void load(ClientRules& into) {
    std::shared_ptr<const RevocationList> revocations;
    if (settings_.mode != config::ClientAuthMode::kNone) {
      read_cas(into);
      if (!settings_.crl.empty()) revocations = read_revocations();
    }
    into.peers = std::make_shared<const PeerPolicy>(settings_, std::move(trusted_), std::move(revocations));
  }

 private:
  void read_cas(ClientRules& into) {
    if (settings_.domain_cas.empty()) return read_cas("", settings_.ca, "ca", into);
    for (const auto& [domain, file] : settings_.domain_cas) read_cas(domain, file, "ca." + domain, into);
  }

  void read_cas(const std::string& domain, const std::string& file, const std::string& key,
                ClientRules& into) {
    Diagnostics found;
    ClientCas cas{domain, read_trusted_certificates(file, TrustedFor::kClients, found)};
    for (Diagnostic& one : found) one.key = key;
    std::vector<IssuedKey>& trusted = trusted_[domain];
    for (const auto& der : cas.ders) {
      auto certificate = parse_certificate(der, nullptr);
      if (!certificate) {
        found.push_back({Severity::kError, file, certificate.error().what, key});
        continue;
      }
      warn_of_expired(certificate->get(), file, key, found);
      trusted.push_back(trust_key(certificate->get()));
      certificates_.push_back(std::move(*certificate));
    }
    out_.insert(out_.end(), found.begin(), found.end());
    into.cas.push_back(std::move(cas));
  }

  void warn_of_expired(X509* ca, const std::string& file, const std::string& key, Diagnostics& found) const {
    const WallTime end = wall_time(X509_get0_notAfter(ca));
    if (end > now_) return;
    const TextPtr name(X509_NAME_oneline(X509_get_subject_name(ca), nullptr, 0));
    found.push_back({Severity::kWarning, file,
                     "the CA certificate " + std::string(name == nullptr ? "" : name.get()) + " expired on " +
                         date_text(end) + ": clients below it are refused",
                     key, FileFault::kExpired});
  }

  [[nodiscard]] std::vector<X509*> signers() const {
    std::vector<X509*> all;
    for (const X509Ptr& one : certificates_) all.push_back(one.get());
    return all;
  }

  std::shared_ptr<const RevocationList> read_revocations() {
    Diagnostics found;
    std::shared_ptr<const RevocationList> list;
    if (const auto file = read_secret_file(settings_.crl)) {
      list = RevocationList::parse(file->text(), settings_.crl, signers(), now_, found);
    } else {
      found.push_back({Severity::kError, settings_.crl, file.error().what, "crl", FileFault::kUnreadable});
    }
    if (list == nullptr) list = keep_before(found);
    out_.insert(out_.end(), found.begin(), found.end());
    return list;
  }

  /// A new list that cannot be used must not stop a reload that brings a new certificate: the old list stays.
  std::shared_ptr<const RevocationList> keep_before(Diagnostics& found) const {
    if (previous_ == nullptr || previous_->peers->revocations() == nullptr) return nullptr;
    if (previous_->settings.crl != settings_.crl) return nullptr;
    for (Diagnostic& one : found) {
      one.severity = Severity::kLeftOut;
      one.what += "; the list before stays in force";
    }
    return previous_->peers->shared_revocations();
  }

  const config::ClientAuth& settings_;
  const ClientRules* previous_;
  WallTime now_;
  Diagnostics& out_;
  TrustedKeys trusted_;
  std::vector<X509Ptr> certificates_;  // for as long as the revocation lists are checked against them
};

PeerChanges changes_since(const ClientRules* previous, const ClientRules& now) {
  if (previous == nullptr) return {};
  const config::ClientAuth &was = previous->settings, &is = now.settings;
  const bool lists_are_new = previous->peers->revocations() == nullptr && now.peers->revocations() != nullptr;
  if (was.mode != is.mode || was.cut_live != is.cut_live || lists_are_new) return {};
  if (previous->only_count && !now.only_count) return {};
  return {.anyone = false, .concerned = now.peers->stricter_since(*previous->peers)};
}

/// Whether each name has the rules of the same entry as before: only then are these comparable.
bool has_same_names(const config::Tls& was, const config::Tls& is) {
  return std::ranges::equal(was.client_auth_by_name, is.client_auth_by_name, {},
                            &config::NamedClientAuth::sni, &config::NamedClientAuth::sni);
}

ClientRules load_rules(const ListenerTls& tls, const config::ClientAuth& settings,
                       const ClientRules* previous, WallTime now, Diagnostics& out) {
  ClientRules rules;
  rules.settings = settings;
  rules.only_count = std::ranges::count(tls.settings.dry_run, "client_auth") > 0;
  ClientAuthLoader(settings, previous, now, out).load(rules);
  rules.policy = policy_of(tls.listener, rules);
  rules.changes = changes_since(previous, rules);
  return rules;
}

void load_all_rules(const ListenerTls* previous, WallTime now, ListenerTls& into, Diagnostics& out) {
  const bool comparable = previous != nullptr && has_same_names(previous->settings, into.settings);
  const auto before = [&](std::size_t index) { return comparable ? &previous->rules[index] : nullptr; };
  Diagnostics found;
  const ClientRules* listeners_own = previous != nullptr ? &previous->rules.front() : nullptr;
  into.rules.push_back(load_rules(into, into.settings.client_auth, listeners_own, now, found));
  if (!comparable) into.rules.front().changes = {};
  const auto& by_name = into.settings.client_auth_by_name;
  for (std::size_t i = 0; i < by_name.size(); ++i) {
    Diagnostics of_entry;
    into.rules.push_back(load_rules(into, by_name[i].rules, before(i + 1), now, of_entry));
    add_below(found, std::move(of_entry), "by_name[" + std::to_string(i) + ']');
    for (const std::string& name : by_name[i].sni) into.names.add(name, static_cast<std::uint32_t>(i + 1));
  }
  add_below(out, std::move(found), "client_auth");
}

void load_tickets(const ListenerTls* previous, WallTime now, ListenerTls& into, Diagnostics& out) {
  const config::Resumption& settings = into.settings.resumption;
  auto secrets =
      TicketSecrets::load(settings, previous == nullptr ? nullptr : previous->ticket_secrets.get(), now);
  if (secrets) {
    into.ticket_secrets = std::move(*secrets);
  } else {
    out.push_back({Severity::kError, settings.secret_file, secrets.error().what, "resumption.secret_file"});
  }
}

/// Whether a process of this user could write the key log at `path`, or make it; errno says why not.
bool could_open_keylog(const std::string& path) {
  if (::access(path.c_str(), W_OK) == 0) return true;
  if (errno != ENOENT) return false;
  const std::string directory = std::filesystem::path(path).parent_path();
  return ::access(directory.empty() ? "." : directory.c_str(), W_OK | X_OK) == 0;
}

/// Warns of a key log that another user can read. Headgate makes its own for its user alone, but one that is
/// there already stays as it is.
void warn_of_open_keylog(const std::string& path, Diagnostics& out) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  const bool is_foreign = status.st_uid != 0 && status.st_uid != ::geteuid();
  if (!is_foreign && (status.st_mode & S_IROTH) == 0) return;
  const std::string what =
      is_foreign
          ? "the key log belongs to another user, who can read the traffic with it: remove it"
          : "every user of the machine can read the key log, and so the traffic: run `chmod o= " + path + "`";
  out.push_back({Severity::kWarning, path, what, "keylog_file"});
}

void open_keylog(const ListenerTls* previous, KeyLogs keylogs, ListenerTls& into, Diagnostics& out) {
  const std::string& path = into.settings.keylog_file;
  if (path.empty()) return;
  if (previous != nullptr && previous->keylog != nullptr && previous->settings.keylog_file == path) {
    into.keylog = previous->keylog;
    return;
  }
  warn_of_open_keylog(path, out);
  const auto fault = [&] {
    out.push_back(
        {Severity::kError, path, fail_errno("cannot open the file", errno).value().what, "keylog_file"});
  };
  if (keylogs == KeyLogs::kLookAt) {
    if (!could_open_keylog(path)) fault();
    return;
  }
  Fd descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!descriptor) return fault();
  into.keylog = std::make_shared<const Fd>(std::move(descriptor));
}

/// Whether a "TRUSTED CERTIFICATE" is not meant for such peers, which its settings say by purposes.
bool declares_distrust(const PemBlock& block, TrustedFor peers) {
  if (block.trust_settings.empty()) return false;
  SecretBytes whole(block.der);
  whole.insert(whole.end(), block.trust_settings.begin(), block.trust_settings.end());
  const auto* at = reinterpret_cast<const unsigned char*>(whole.data());
  const X509Ptr certificate(
      ask_openssl([&] { return d2i_X509_AUX(nullptr, &at, static_cast<long>(whole.size())); }));
  if (certificate == nullptr) return true;
  const int purpose = peers == TrustedFor::kClients ? X509_TRUST_SSL_CLIENT : X509_TRUST_SSL_SERVER;
  const int answer = X509_check_trust(certificate.get(), purpose, 0);
  // A list of purposes without this one is a refusal, too, but AWS-LC does not say so.
  constexpr std::array kPurposes{X509_TRUST_SSL_CLIENT,  X509_TRUST_SSL_SERVER, X509_TRUST_EMAIL,
                                 X509_TRUST_OBJECT_SIGN, X509_TRUST_OCSP_SIGN,  X509_TRUST_TSA};
  const bool lists_others = std::ranges::any_of(kPurposes, [&](int other) {
    return X509_check_trust(certificate.get(), other, 0) == X509_TRUST_TRUSTED;
  });
  return answer == X509_TRUST_REJECTED || (answer != X509_TRUST_TRUSTED && lists_others);
}

}  // namespace

std::vector<std::vector<std::byte>> read_trusted_certificates(const std::string& file, TrustedFor peers,
                                                              Diagnostics& out) {
  std::vector<std::vector<std::byte>> ders;
  const auto error = [&](std::string what, FileFault fault) {
    out.push_back({Severity::kError, file, std::move(what), "ca", fault});
    return ders;
  };
  const auto contents = read_secret_file(file);
  if (!contents) return error(contents.error().what, FileFault::kUnreadable);
  const auto blocks = parse_pem(contents->text());
  if (!blocks) return error(blocks.error().what, FileFault::kDamaged);
  for (const PemBlock& block : *blocks) {
    if (block.label != "CERTIFICATE" && block.label != "X509 CERTIFICATE") continue;
    if (declares_distrust(block, peers)) {
      out.push_back({Severity::kWarning, file,
                     "the certificate of line " + std::to_string(block.line) +
                         " is left out: the file says that it is not to be trusted for " +
                         (peers == TrustedFor::kClients ? "clients" : "servers"),
                     "ca"});
      continue;
    }
    ders.emplace_back(block.der.begin(), block.der.end());
  }
  if (ders.empty()) return error("there is no CA certificate in it", FileFault::kDamaged);
  return ders;
}

const ClientCas* ClientRules::cas_of(const PeerIdentity& peer) const {
  for (const ClientCas& one : cas) {
    if (one.trust_domain.empty() || one.trust_domain == peer.trust_domain()) return &one;
  }
  return nullptr;
}

std::shared_ptr<const ListenerTls> ListenerTls::load(const config::Listener& listener,
                                                     const ListenerTls* previous, const ChangedFiles* changed,
                                                     WallTime now, Diagnostics& out, KeyLogs keylogs,
                                                     const CertificateStore* in_use) {
  Diagnostics found;
  auto tls = std::make_shared<ListenerTls>();
  tls->listener = listener.name;
  tls->settings = *listener.tls;
  tls->labels = CertificateLabels(tls->settings);
  tls->certificates = CertificateStore::load(
      tls->settings, previous == nullptr ? in_use : previous->certificates.get(), changed, now, found);
  load_all_rules(previous, now, *tls, found);
  load_tickets(previous, now, *tls, found);
  open_keylog(previous, keylogs, *tls, found);
  if (!config::only_passes_through(listener)) check_algorithms(tls->settings, found);
  if (!has_errors(found)) try_handshakes(tls->settings, *tls->certificates, found);
  const bool failed = has_errors(found);
  add_below(out, std::move(found), "tls");
  return failed ? nullptr : tls;
}

}  // namespace headgate
