#include "tls/certificate/self_signed.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tls/library/keys.h"
#include "tls/library/openssl_call.h"
#include "tls/library/openssl_types.h"

namespace headgate {
namespace {

constexpr long kValidSeconds = 30L * 24 * 3600;

bool add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool fill(X509* certificate, EVP_PKEY* key, const std::string& name) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
  return X509_set_version(certificate, X509_VERSION_3) == 1 &&
         ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -60) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), kValidSeconds) != nullptr &&
         X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, subject) == 1 && X509_set_pubkey(certificate, key) == 1 &&
         add_extension(certificate, NID_subject_alt_name, "DNS:" + name + ",IP:127.0.0.1,IP:::1") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

bool write_pem(X509* certificate, EVP_PKEY* key, int fd) {
  const BioPtr bio(BIO_new_fd(fd, BIO_NOCLOSE));
  return bio && PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1 &&
         PEM_write_bio_X509(bio.get(), certificate) == 1;
}

}  // namespace

Result<SelfSigned> SelfSigned::make(const std::string& name) {
  Fd memory(::memfd_create("self-signed", MFD_CLOEXEC));
  if (!memory) return fail_errno("memfd_create", errno);
  if (::fchmod(memory.number(), S_IRUSR | S_IWUSR) != 0) return fail_errno("fchmod", errno);
  const auto made = call_openssl(ErrorKind::kSystem, "OpenSSL could not make a self-signed certificate", [&] {
    const PkeyPtr key(new_p256_key());
    const X509Ptr certificate(X509_new());
    return key != nullptr && certificate != nullptr && fill(certificate.get(), key.get(), name) &&
           write_pem(certificate.get(), key.get(), memory.number());
  });
  if (!made) return tl::unexpected(made.error());
  return SelfSigned(std::move(memory));
}

std::string SelfSigned::path() const {
  return "/proc/self/fd/" + std::to_string(memory_.number());
}

}  // namespace headgate
