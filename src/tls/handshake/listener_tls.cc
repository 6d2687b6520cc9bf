#include "tls/handshake/listener_tls.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include <openssl/sha.h>

#include "tls/certificate/certificate_material.h"
#include "tls/certificate/pem.h"
#include "tls/handshake/secret_file.h"
#include "tls/openssl/algorithms.h"
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

std::array<std::byte, 32> policy_of(const ListenerTls& tls) {
  const config::ClientAuth& auth = tls.settings.client_auth;
  PolicyDigest digest;
  digest.add(tls.listener);
  digest.add(std::to_string(static_cast<int>(auth.mode)));
  for (const auto& der : tls.client_ca_der) digest.add(der);
  for (const auto* list : {&auth.allow.spiffe, &auth.allow.uri, &auth.allow.dns, &auth.allow.common_name,
                           &auth.allow.organizational_unit, &auth.allow.fingerprint}) {
    digest.add(*list);
  }
  return digest.finish();
}

/// The CAs of a listener, as OpenSSL objects for as long as the revocation lists are checked against them.
struct ClientCas {
  std::vector<X509Ptr> certificates;
  std::vector<IssuedKey> trusted;
  [[nodiscard]] std::vector<X509*> pointers() const {
    std::vector<X509*> all;
    for (const X509Ptr& one : certificates) all.push_back(one.get());
    return all;
  }
};

/// Reads the files that client authentication needs.
class ClientAuthLoader {
 public:
  ClientAuthLoader(const config::ClientAuth& settings, const ListenerTls* previous, WallTime now,
                   Diagnostics& out)
      : settings_(settings), previous_(previous), now_(now), out_(out) {}

  void load(ListenerTls& into) {
    ClientCas cas;
    std::shared_ptr<const RevocationList> revocations;
    if (settings_.mode != config::ClientAuthMode::kNone) {
      into.client_ca_der = read_trusted_certificates(settings_.ca, out_);
      cas = parse(into.client_ca_der);
      if (!settings_.crl.empty()) revocations = read_revocations(cas);
    }
    into.peers =
        std::make_shared<const PeerPolicy>(settings_, std::move(cas.trusted), std::move(revocations));
  }

 private:
  ClientCas parse(const std::vector<std::vector<std::byte>>& ders) {
    ClientCas cas;
    for (const auto& der : ders) {
      auto certificate = parse_certificate(der, nullptr);
      if (!certificate) {
        out_.push_back({Severity::kError, settings_.ca, certificate.error().what, "ca"});
        continue;
      }
      cas.trusted.push_back(trust_key(certificate->get()));
      cas.certificates.push_back(std::move(*certificate));
    }
    return cas;
  }

  std::shared_ptr<const RevocationList> read_revocations(const ClientCas& cas) {
    Diagnostics found;
    std::shared_ptr<const RevocationList> list;
    if (const auto file = read_secret_file(settings_.crl)) {
      list = RevocationList::parse(file->text(), settings_.crl, cas.pointers(), now_, found);
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
    if (previous_->settings.client_auth.crl != settings_.crl) return nullptr;
    for (Diagnostic& one : found) {
      one.severity = Severity::kLeftOut;
      one.what += "; the list before stays in force";
    }
    return previous_->peers->shared_revocations();
  }

  const config::ClientAuth& settings_;
  const ListenerTls* previous_;
  WallTime now_;
  Diagnostics& out_;
};

PeerChanges changes_since(const ListenerTls* previous, const ListenerTls& now) {
  if (previous == nullptr) return {};
  const config::ClientAuth &was = previous->settings.client_auth, &is = now.settings.client_auth;
  const bool lists_are_new = previous->peers->revocations() == nullptr && now.peers->revocations() != nullptr;
  if (was.mode != is.mode || was.cut_live != is.cut_live || lists_are_new) return {};
  return {.anyone = false, .concerned = now.peers->stricter_since(*previous->peers)};
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

void open_keylog(const ListenerTls* previous, KeyLogs keylogs, ListenerTls& into, Diagnostics& out) {
  const std::string& path = into.settings.keylog_file;
  if (path.empty()) return;
  if (previous != nullptr && previous->keylog != nullptr && previous->settings.keylog_file == path) {
    into.keylog = previous->keylog;
    return;
  }
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

}  // namespace

std::vector<std::vector<std::byte>> read_trusted_certificates(const std::string& file, Diagnostics& out) {
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
    ders.emplace_back(block.der.begin(), block.der.end());
  }
  if (ders.empty()) return error("there is no CA certificate in it", FileFault::kDamaged);
  return ders;
}

std::shared_ptr<const ListenerTls> ListenerTls::load(const config::Listener& listener,
                                                     const ListenerTls* previous, const ChangedFiles* changed,
                                                     WallTime now, Diagnostics& out, KeyLogs keylogs) {
  Diagnostics found;
  auto tls = std::make_shared<ListenerTls>();
  tls->listener = listener.name;
  tls->settings = *listener.tls;
  tls->certificates = CertificateStore::load(
      tls->settings, previous == nullptr ? nullptr : previous->certificates.get(), changed, now, found);
  Diagnostics of_clients;
  ClientAuthLoader(tls->settings.client_auth, previous, now, of_clients).load(*tls);
  add_below(found, std::move(of_clients), "client_auth");
  load_tickets(previous, now, *tls, found);
  open_keylog(previous, keylogs, *tls, found);
  tls->policy = policy_of(*tls);
  tls->changes = changes_since(previous, *tls);
  tls->missing_groups = check_algorithms(tls->settings, found);
  const bool failed = has_errors(found);
  add_below(out, std::move(found), "tls");
  return failed ? nullptr : tls;
}

}  // namespace headgate
