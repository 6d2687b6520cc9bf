#include "tls/certificate/shown_certificate.h"

#include <memory>

#include "tls/certificate/certificate_material.h"
#include "tls/handshake/handshake_failure.h"
#include "tls/library/openssl_call.h"
#include "tls/library/openssl_types.h"
#include "tls/library/peer_strength.h"

namespace headgate {
namespace {

using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, FreedBy<X509_STORE_CTX_free>>;

Result<CertificatesPtr> read_certificates(const std::string& file) {
  Diagnostics faults;
  const auto ders = read_trusted_certificates(file, TrustedFor::kClients, faults);
  if (!faults.empty()) return fail(ErrorKind::kInvalid, file + ": " + faults.front().what);
  CertificatesPtr stack(sk_X509_new_null());
  for (const auto& der : ders) {
    auto certificate = parse_certificate(der, nullptr);
    if (!certificate) return fail(ErrorKind::kInvalid, file + ": " + certificate.error().what);
    const auto kept = call_openssl(ErrorKind::kSystem, "OpenSSL could not keep a certificate",
                                   [&] { return sk_X509_push(stack.get(), certificate->get()); });
    if (!kept) return tl::unexpected(kept.error());
    static_cast<void>(certificate->release());  // the stack's now
  }
  return stack;
}

Result<X509StorePtr> make_store(const std::vector<std::vector<std::byte>>& trusted) {
  auto store = call_openssl(ErrorKind::kSystem, "OpenSSL could not make a certificate store",
                            [] { return X509StorePtr(X509_STORE_new()); });
  if (!store) return store;
  X509_STORE_set_flags(store->get(), X509_V_FLAG_PARTIAL_CHAIN);  // as ServerContext has it
  for (const auto& der : trusted) {
    auto certificate = parse_certificate(der, nullptr);
    if (!certificate) return tl::unexpected(certificate.error());
    const auto added = call_openssl(ErrorKind::kInvalid, "OpenSSL refused to trust a CA",
                                    [&] { return X509_STORE_add_cert(store->get(), certificate->get()); });
    if (!added) return tl::unexpected(added.error());
  }
  return store;
}

}  // namespace

Result<EvaluatedPeer> evaluate_peer_file(const std::string& file, const ClientRules& rules, WallTime now) {
  const auto shown = read_certificates(file);
  if (!shown) return tl::unexpected(shown.error());
  X509* leaf = sk_X509_value(shown->get(), 0);
  PeerIdentity identity = identity_of(leaf);
  const ClientCas* cas = rules.cas_of(identity);
  if (cas == nullptr) {
    Authorization refusal = no_ca_for(identity);
    return EvaluatedPeer{std::move(identity), std::move(refusal)};
  }
  const auto store = make_store(cas->ders);
  if (!store) return tl::unexpected(store.error());
  const StoreContextPtr context(X509_STORE_CTX_new());
  const auto ready = call_openssl(ErrorKind::kSystem, "OpenSSL could not begin to verify a certificate", [&] {
    return context != nullptr && X509_STORE_CTX_init(context.get(), store->get(), leaf, shown->get()) == 1 &&
                   X509_STORE_CTX_set_default(context.get(), "ssl_client") == 1
               ? 1
               : 0;
  });
  if (!ready) return tl::unexpected(ready.error());
  const bool built = ask_openssl([&] { return X509_verify_cert(context.get()); }) == 1;
  const int error = error_of_chain(context.get(), built);
  if (!built || error != X509_V_OK) {
    return EvaluatedPeer{std::nullopt, {false, failure_of_verification(error), verification_words(error)}};
  }
  add_chain(identity, context.get());
  Authorization answer = rules.peers->authorize(&identity, now);
  return EvaluatedPeer{std::move(identity), std::move(answer)};
}

}  // namespace headgate
