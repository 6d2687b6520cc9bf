#include "tls/peer/server_refusal.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tls/library/asn1_time.h"
#include "tls/library/peer_strength.h"
#include "tls/peer/peer_identity.h"

namespace headgate {
namespace {

// A certificate may have thousands of names; the first ones tell which certificate it is.
constexpr std::size_t kMostNames = 5;

std::string address_text(const ASN1_OCTET_STRING* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int size = ASN1_STRING_length(address);
  if (size != 4 && size != 16) return {};
  const int family = size == 4 ? AF_INET : AF_INET6;
  return inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size()) == nullptr ? ""
                                                                                                : text.data();
}

std::vector<std::string> addresses_of(X509* certificate) {
  std::vector<std::string> addresses;
  const GeneralNamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < static_cast<int>(sk_GENERAL_NAME_num(names.get())); ++i) {
    int type = -1;
    const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type);
    if (type == GEN_IPADD) addresses.push_back(address_text(static_cast<const ASN1_OCTET_STRING*>(value)));
  }
  return addresses;
}

/// "app.example.test, 192.0.2.1": the names that the certificate is for.
std::string names_of(X509* certificate) {
  std::vector<std::string> names = identity_of(certificate).dns;
  for (std::string& address : addresses_of(certificate)) names.push_back(std::move(address));
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMostNames); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kMostNames) text += " and " + std::to_string(names.size() - kMostNames) + " more";
  return text.empty() ? "no name" : text;
}

bool is_about_the_name(int error) {
  return error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

std::string subject_of(X509* certificate) {
  const PeerIdentity identity = identity_of(certificate);
  return identity.common_name.empty() ? names_of(certificate) : identity.common_name;
}

}  // namespace

std::string why_server_is_refused(X509_STORE_CTX* chain, const std::string& wanted_name) {
  const int error = X509_STORE_CTX_get_error(chain);
  X509* certificate = X509_STORE_CTX_get_current_cert(chain);
  std::string why = std::string("certificate verify failed: ") + verification_words(error);
  if (certificate == nullptr) return why;
  if (is_about_the_name(error))
    return why + ": the certificate is for " + names_of(certificate) + ", not for " + wanted_name;
  why += ": \"" + subject_of(certificate) + "\", issued by \"" + identity_of(certificate).issuer + '"';
  if (error == X509_V_ERR_CERT_HAS_EXPIRED)
    why += ", expired on " + date_text(wall_time(X509_get0_notAfter(certificate)));
  if (error == X509_V_ERR_CERT_NOT_YET_VALID)
    why += ", valid from " + date_text(wall_time(X509_get0_notBefore(certificate)));
  return why;
}

}  // namespace headgate
