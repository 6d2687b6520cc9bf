#include "supervisor/certificates_in_use.h"

#include <map>
#include <string>
#include <utility>

namespace headgate {
namespace {

HandoverKeyPair message_of(const StoredCertificate& certificate) {
  const auto leaf = certificate.leaf_der(), key = certificate.key_der();
  HandoverKeyPair pair{.leaf = {leaf.begin(), leaf.end()}, .key = {key.begin(), key.end()}, .chain = {}};
  for (const auto& der : certificate.chain().der) {
    pair.chain.emplace_back(reinterpret_cast<const char*>(der.data()), der.size());
  }
  return pair;
}

HandoverCertificate message_of(const std::string& listener, const CertificateInUse& one) {
  HandoverCertificate message{.listener = listener,
                              .directory = one.directory,
                              .file = std::string(one.held->file()),
                              .held = message_of(*one.held)};
  if (one.canary == nullptr) return message;
  message.old = std::make_unique<HandoverKeyPair>(message_of(*one.canary->old()));
  message.went_back = one.canary->state() == CanaryState::kWentBack;
  message.canary_percent = one.canary->percent();
  message.canary_for = std::chrono::duration_cast<std::chrono::milliseconds>(one.canary->planned());
  return message;
}

std::shared_ptr<const StoredCertificate> certificate_of(const std::string& file, const HandoverKeyPair& pair,
                                                        ChainPool& chains) {
  CertificateChain chain;
  for (const std::string& der : pair.chain) {
    const auto bytes = std::as_bytes(std::span(der));
    chain.der.emplace_back(bytes.begin(), bytes.end());
  }
  return restore_certificate(file, pair.leaf, pair.key, chains.intern(std::move(chain)));
}

std::optional<CertificateInUse> in_use_of(const HandoverCertificate& message, ChainPool& chains) {
  CertificateInUse one{.directory = message.directory,
                       .held = certificate_of(message.file, message.held, chains),
                       .canary = nullptr};
  if (one.held == nullptr) return std::nullopt;
  if (message.old == nullptr) return one;
  auto old = certificate_of(message.file, *message.old, chains);
  if (old == nullptr) return std::nullopt;
  const auto state = message.went_back ? CanaryState::kWentBack : CanaryState::kComparing;
  one.canary = std::make_shared<CertificateCanary>(std::move(old), message.canary_percent, message.canary_for,
                                                   std::chrono::system_clock::now(), state);
  return one;
}

}  // namespace

std::vector<HandoverCertificate> certificates_to_leave(const Snapshot& snapshot) {
  std::vector<HandoverCertificate> messages;
  for (const auto& listener : snapshot.listeners) {
    if (!listener->tls) continue;
    for (const CertificateInUse& one : listener->tls->certificates->in_use()) {
      messages.push_back(message_of(listener->config.name, one));
    }
  }
  return messages;
}

CertificatesInUse inherited_certificates(const std::vector<HandoverCertificate>& messages) {
  const auto chains = std::make_shared<ChainPool>();
  std::map<std::string, std::vector<CertificateInUse>> by_listener;
  for (const HandoverCertificate& message : messages) {
    if (auto one = in_use_of(message, *chains)) by_listener[message.listener].push_back(*std::move(one));
  }
  CertificatesInUse all;
  for (auto& [listener, certificates] : by_listener) {
    all.emplace(listener, CertificateStore::of_in_use(std::move(certificates)));
  }
  return all;
}

}  // namespace headgate
