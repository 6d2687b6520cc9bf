#include "unit/tls/test_pki.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "base/check.h"
#include "tls/library/openssl_call.h"

namespace headgate::test {
namespace {

/// nullptr where the library has no such keys.
PkeyPtr make_key(const std::string& kind) {
  const bool rsa = kind.starts_with("RSA-");
  const bool curve = kind.starts_with("P-");
  const int type = rsa ? EVP_PKEY_RSA : curve ? EVP_PKEY_EC : OBJ_txt2nid(kind.c_str());
  EVP_PKEY* key = nullptr;
  return ask_openssl([&] {
    const PkeyCtxPtr context(EVP_PKEY_CTX_new_id(type, nullptr));
    if (context == nullptr || EVP_PKEY_keygen_init(context.get()) != 1) return PkeyPtr();
    if (rsa) EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), std::stoi(kind.substr(4)));
    if (curve) EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context.get(), EC_curve_nist2nid(kind.c_str()));
    EVP_PKEY_keygen(context.get(), &key);
    return PkeyPtr(key);
  });
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  HG_CHECK(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

GENERAL_NAME* text_name(int type, const std::string& value) {
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  ASN1_STRING_set(text, value.data(), static_cast<int>(value.size()));
  GENERAL_NAME* name = GENERAL_NAME_new();
  GENERAL_NAME_set0_value(name, type, text);
  return name;
}

void add_alternative_names(X509* certificate, const Wanted& wanted) {
  const GeneralNamesPtr names(sk_GENERAL_NAME_new_null());
  for (const auto& one : wanted.dns) sk_GENERAL_NAME_push(names.get(), text_name(GEN_DNS, one));
  for (const auto& one : wanted.uris) sk_GENERAL_NAME_push(names.get(), text_name(GEN_URI, one));
  for (const auto& one : wanted.addresses) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, GEN_IPADD, a2i_IPADDRESS(one.c_str()));
    sk_GENERAL_NAME_push(names.get(), name);
  }
  if (sk_GENERAL_NAME_num(names.get()) == 0)
    sk_GENERAL_NAME_push(names.get(), text_name(GEN_DNS, wanted.common_name));
  X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT);
}

void set_name(X509* certificate, const Wanted& wanted) {
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto add = [name](const char* field, const std::string& value) {
    const auto* text = reinterpret_cast<const unsigned char*>(value.c_str());
    if (!value.empty()) X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, text, -1, -1, 0);
  };
  add("OU", wanted.organizational_unit);
  add("CN", wanted.common_name);
  add("CN", wanted.second_common_name);
}

void set_serial(X509* certificate) {
  std::array<unsigned char, 8> number{};
  RAND_bytes(number.data(), static_cast<int>(number.size()));
  number[0] = static_cast<unsigned char>((number[0] & 0x3f) | 0x40);
  const BnPtr big(BN_bin2bn(number.data(), static_cast<int>(number.size()), nullptr));
  BN_to_ASN1_INTEGER(big.get(), X509_get_serialNumber(certificate));
}

const EVP_MD* digest_for(const Issued& signer, const std::string& name) {
  const int type = EVP_PKEY_base_id(signer.key.get());
  return type == EVP_PKEY_RSA || type == EVP_PKEY_EC ? EVP_get_digestbyname(name.c_str()) : nullptr;
}

ExtensionPtr critical_extension(const std::string& number) {
  const std::array<unsigned char, 2> null{5, 0};
  ASN1_OCTET_STRING* contents = ASN1_OCTET_STRING_new();
  ASN1_OCTET_STRING_set(contents, null.data(), static_cast<int>(null.size()));
  ASN1_OBJECT* type = OBJ_txt2obj(number.c_str(), 1);
  ExtensionPtr made(X509_EXTENSION_create_by_OBJ(nullptr, type, 1, contents));
  ASN1_OBJECT_free(type);
  ASN1_OCTET_STRING_free(contents);
  return made;
}

template <class Write>
std::string to_text(Write write) {
  const BioPtr memory(BIO_new(BIO_s_mem()));
  HG_CHECK(write(memory.get()) == 1);
  const char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

}  // namespace

std::string Issued::certificate_pem() const {
  return to_text([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); });
}

std::string Issued::key_pem() const {
  return to_text([&](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string Issued::traditional_key_pem() const {
  return to_text([&](BIO* bio) {
    return PEM_write_bio_PrivateKey_traditional(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string Issued::encrypted_key_pem() const {
  char passphrase[] = "secret";
  return to_text([&](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key.get(), EVP_aes_128_cbc(), passphrase, 6, nullptr, nullptr);
  });
}

std::vector<std::byte> Issued::der() const {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  const auto* bytes = reinterpret_cast<const std::byte*>(der);
  std::vector<std::byte> copy(bytes, bytes + size);
  OPENSSL_free(der);
  return copy;
}

bool has_keys(const std::string& kind) {
  return make_key(kind) != nullptr;
}

Issued issue(const Wanted& wanted, const Issued* issuer) {
  Issued made{X509Ptr(X509_new()), make_key(wanted.key)};
  HG_CHECK(made.key != nullptr);
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  set_serial(certificate);
  set_name(certificate, wanted);
  X509_gmtime_adj(X509_getm_notBefore(certificate), wanted.from.count());
  X509_gmtime_adj(X509_getm_notAfter(certificate), wanted.until.count());
  X509_set_pubkey(certificate, made.key.get());
  const Issued& signer = issuer == nullptr ? made : *issuer;
  X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate.get()));
  X509* above = signer.certificate.get();
  if (wanted.ca) add_extension(certificate, above, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate, above, NID_subject_key_identifier, "hash");
  if (issuer != nullptr) add_extension(certificate, above, NID_authority_key_identifier, "keyid");
  if (!wanted.no_san && (!wanted.ca || !wanted.uris.empty())) add_alternative_names(certificate, wanted);
  if (!wanted.key_usage.empty())
    add_extension(certificate, above, NID_key_usage, "critical," + wanted.key_usage);
  if (!wanted.extended_key_usage.empty())
    add_extension(certificate, above, NID_ext_key_usage, wanted.extended_key_usage);
  if (!wanted.authority_info_access.empty())
    add_extension(certificate, above, NID_info_access, wanted.authority_info_access);
  HG_CHECK(X509_sign(certificate, signer.key.get(), digest_for(signer, wanted.digest)) > 0);
  return made;
}

std::string revocation_list(const Issued& issuer, const WantedList& wanted) {
  const CrlPtr list(X509_CRL_new());
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(issuer.certificate.get()));
  ASN1_TIME* time = ASN1_TIME_new();
  X509_gmtime_adj(time, wanted.from.count());
  X509_CRL_set1_lastUpdate(list.get(), time);
  for (const Issued* one : wanted.revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    if (!wanted.critical_in_entry.empty())
      X509_REVOKED_add_ext(entry, critical_extension(wanted.critical_in_entry).get(), -1);
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(one->certificate.get()));
    X509_REVOKED_set_revocationDate(entry, time);
    X509_CRL_add0_revoked(list.get(), entry);
  }
  X509_gmtime_adj(time, wanted.until.count());
  X509_CRL_set1_nextUpdate(list.get(), time);
  ASN1_TIME_free(time);
  if (wanted.delta) {
    ASN1_INTEGER* base = ASN1_INTEGER_new();
    ASN1_INTEGER_set(base, 1);
    X509_CRL_add1_ext_i2d(list.get(), NID_delta_crl, base, 1, 0);
    ASN1_INTEGER_free(base);
  }
  if (!wanted.distribution_point.empty()) {
    X509V3_CTX context{};
    X509V3_set_ctx(&context, issuer.certificate.get(), nullptr, nullptr, list.get(), 0);
    const std::string value = "critical," + wanted.distribution_point;
    const ExtensionPtr extension(
        X509V3_EXT_conf_nid(nullptr, &context, NID_issuing_distribution_point, value.c_str()));
    HG_CHECK(extension != nullptr);
    X509_CRL_add_ext(list.get(), extension.get(), -1);
  }
  if (!wanted.critical.empty()) X509_CRL_add_ext(list.get(), critical_extension(wanted.critical).get(), -1);
  X509_CRL_sort(list.get());
  HG_CHECK(X509_CRL_sign(list.get(), issuer.key.get(), EVP_sha256()) > 0);
  return to_text([&](BIO* bio) {
    return wanted.der ? i2d_X509_CRL_bio(bio, list.get()) : PEM_write_bio_X509_CRL(bio, list.get());
  });
}

std::string ocsp_response(const Issued& issuer, const Issued& leaf, int status, std::chrono::seconds until) {
  const OcspBasicPtr basic(OCSP_BASICRESP_new());
  OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), leaf.certificate.get(), issuer.certificate.get());
  ASN1_TIME* now = X509_gmtime_adj(nullptr, -60);
  ASN1_TIME* next = X509_gmtime_adj(nullptr, until.count());
  ASN1_TIME* revoked_at = status == V_OCSP_CERTSTATUS_REVOKED ? now : nullptr;
  OCSP_basic_add1_status(basic.get(), id, status, 0, revoked_at, now, next);
  OCSP_basic_sign(basic.get(), issuer.certificate.get(), issuer.key.get(), EVP_sha256(), nullptr, 0);
  const OcspResponsePtr response(OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()));
  OCSP_CERTID_free(id);
  ASN1_TIME_free(now);
  ASN1_TIME_free(next);
  unsigned char* der = nullptr;
  const int size = i2d_OCSP_RESPONSE(response.get(), &der);
  std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return text;
}

std::shared_ptr<const StoredCertificate> stored(const Issued& issued, const std::string& file) {
  const std::string pem = issued.pem();
  ChainPool pool;
  Diagnostics out;
  auto made = check_certificate({file, file, pem, pem}, CertificatePurpose::kServer,
                                std::chrono::system_clock::now(), pool, out);
  HG_CHECK(made != nullptr);
  return made;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "headgate-test-XXXXXX").string();
  HG_CHECK(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryDirectory::write(const std::string& name, std::string_view contents) const {
  const std::string path = path_ + "/" + name;
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  HG_CHECK(descriptor >= 0);
  HG_CHECK(::write(descriptor, contents.data(), contents.size()) == static_cast<ssize_t>(contents.size()));
  ::close(descriptor);
  return path;
}

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  return {bytes, bytes + text.size()};
}

}  // namespace headgate::test
