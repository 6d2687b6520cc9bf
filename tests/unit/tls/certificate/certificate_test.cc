#include "tls/certificate/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tls/certificate/certificate_material.h"
#include "tls/certificate/ec_private_key.h"
#include "tls/certificate/ocsp_staple.h"
#include "tls/certificate/pem.h"
#include "tls/library/keys.h"
#include "unit/tls/test_pki.h"
#include "unit/tls/which_library.h"

namespace headgate {
namespace {

using test::issue;
using test::Issued;
using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

const Issued& root() {
  static const Issued made = issue({.common_name = "Root CA", .ca = true});
  return made;
}
const Issued& intermediate() {
  static const Issued made = issue({.common_name = "Intermediate CA", .ca = true}, &root());
  return made;
}

/// The result of checking one certificate.
struct Checked {
  std::shared_ptr<const StoredCertificate> certificate;
  Diagnostics found;
};

Checked check(const std::string& certificate_pem, const std::string& key_pem,
              CertificatePurpose purpose = CertificatePurpose::kServer) {
  Checked checked;
  ChainPool pool;
  checked.certificate = check_certificate({"site.pem", "site.key", certificate_pem, key_pem}, purpose,
                                          std::chrono::system_clock::now(), pool, checked.found);
  return checked;
}

Checked check_file(const std::string& pem) {
  Checked checked;
  ChainPool pool;
  checked.certificate = check_certificate({"site.pem", "site.pem", pem, pem}, CertificatePurpose::kServer,
                                          std::chrono::system_clock::now(), pool, checked.found);
  return checked;
}

auto error(const std::string& what) {
  return Contains(
      AllOf(Field(&Diagnostic::severity, Severity::kError), Field(&Diagnostic::what, HasSubstr(what))));
}
auto warning(const std::string& what) {
  return Contains(
      AllOf(Field(&Diagnostic::severity, Severity::kWarning), Field(&Diagnostic::what, HasSubstr(what))));
}

TEST(Certificate, IsStoredWithItsNamesAndValidity) {
  const Issued site = issue({.dns = {"WWW.example.com", "*.example.com"}, .addresses = {"192.0.2.1"}});
  const Checked checked = check(site.certificate_pem(), site.key_pem());
  ASSERT_NE(checked.certificate, nullptr);
  EXPECT_THAT(checked.found, IsEmpty());
  EXPECT_THAT(checked.certificate->names(),
              testing::ElementsAre("www.example.com", "*.example.com", "192.0.2.1"));
  EXPECT_EQ(checked.certificate->key_type(), KeyType::kP256);
  EXPECT_TRUE(std::ranges::equal(checked.certificate->leaf_der(), site.der()));
  const auto now = std::chrono::system_clock::now();
  EXPECT_LT(checked.certificate->not_before(), now);
  EXPECT_GT(checked.certificate->not_after(), now + std::chrono::hours(24 * 89));
  EXPECT_LT(checked.certificate->footprint_bytes(), 2048U);
}

bool verifies_what_it_signs(EVP_PKEY* own, EVP_PKEY* other) {
  const int type = EVP_PKEY_base_id(own);
  const EVP_MD* digest = type == EVP_PKEY_RSA || type == EVP_PKEY_EC ? EVP_sha256() : nullptr;
  const std::array<unsigned char, 3> message{1, 2, 3};
  std::array<unsigned char, 1024> signature{};
  std::size_t size = signature.size();
  const DigestCtxPtr signing(EVP_MD_CTX_new()), verifying(EVP_MD_CTX_new());
  return EVP_DigestSignInit(signing.get(), nullptr, digest, nullptr, own) == 1 &&
         EVP_DigestSign(signing.get(), signature.data(), &size, message.data(), message.size()) == 1 &&
         EVP_DigestVerifyInit(verifying.get(), nullptr, digest, nullptr, other) == 1 &&
         EVP_DigestVerify(verifying.get(), signature.data(), size, message.data(), message.size()) == 1;
}

TEST(Certificate, OfEveryKindOfKeyIsTakenByOpensslAsWell) {
  for (const char* kind : {"P-256", "P-384", "P-521", "RSA-2048", "ED25519", "ED448"}) {
    if (!test::has_keys(kind)) continue;
    const Issued site = issue({.key = kind});
    const bool has_own_form = kind[0] == 'P' || kind[0] == 'R';  // SEC 1, PKCS #1
    const std::string other_form = has_own_form ? site.traditional_key_pem() : site.key_pem();
    for (const std::string& key : {site.key_pem(), other_form}) {
      const Checked checked = check(site.certificate_pem(), key);
      ASSERT_NE(checked.certificate, nullptr) << kind << ": " << checked.found.front().what;
      const auto material = materialise(*checked.certificate, nullptr);
      ASSERT_TRUE(material) << kind << ": " << material.error().what;
      EXPECT_TRUE(verifies_what_it_signs(material->key.get(), X509_get0_pubkey(material->leaf.get())))
          << kind;
      EXPECT_TRUE(is_same_key(X509_get0_pubkey(material->leaf.get()), material->key.get())) << kind;
    }
  }
}

TEST(EcPrivateKey, IsFoundInBothFormsAndInNoOtherKey) {
  const auto number_in = [](const std::string& pem) {
    const auto blocks = parse_pem(pem);
    const auto number = ec_private_number(blocks->front().der);
    return number ? number->size() : 0;
  };
  const Issued site = issue({}), other = issue({.key = "RSA-2048"});
  EXPECT_EQ(number_in(site.key_pem()), 32U);
  EXPECT_EQ(number_in(site.traditional_key_pem()), 32U);
  EXPECT_EQ(number_in(other.key_pem()), 0U);
  EXPECT_EQ(number_in(other.traditional_key_pem()), 0U);
  EXPECT_EQ(number_in(issue({.key = "ED25519"}).key_pem()), 0U);
}

TEST(EcPrivateKey, IsNotFoundInAnyPartOfOne) {
  const std::string pem = issue({}).key_pem();
  const auto blocks = parse_pem(pem);
  const std::span<const std::byte> whole = blocks->front().der;
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(ec_private_number(whole.first(size)));
}

TEST(EcPrivateKey, OfAPointThatIsOnNoCurveIsRefused) {
  const std::vector<std::byte> number(32, std::byte{1}), nowhere(65, std::byte{4});
  EXPECT_FALSE(ec_key_pair(KeyType::kP256, number, nowhere, nullptr));
}

TEST(Certificate, AndKeyMayShareAFileInEitherOrderWithCrlfAByteOrderMarkAndComments) {
  const Issued site = issue({});
  EXPECT_NE(check_file(site.certificate_pem() + site.key_pem() + "\n\n\n").certificate, nullptr);
  EXPECT_NE(check_file(site.key_pem() + site.certificate_pem()).certificate, nullptr);
  std::string windows =
      "\xef\xbb\xbf"
      "Bag Attributes: none\n" +
      site.pem();
  for (std::size_t at = 0; (at = windows.find('\n', at)) != std::string::npos; at += 2)
    windows.insert(at, "\r");
  EXPECT_NE(check_file(windows).certificate, nullptr);
}

TEST(Certificate, KeepsItsChainInOrderAndSharesIt) {
  const Issued one = issue({.common_name = "one.example.com"}, &intermediate());
  const Issued other = issue({.common_name = "other.example.com"}, &intermediate());
  ChainPool pool;
  Diagnostics out;
  const auto load = [&](const Issued& site) {
    const std::string pem = site.pem() + intermediate().certificate_pem();
    return check_certificate({"f", "f", pem, pem}, CertificatePurpose::kServer,
                             std::chrono::system_clock::now(), pool, out);
  };
  const auto first = load(one);
  const auto second = load(other);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->chain().der.size(), 1U);
  EXPECT_EQ(first->shared_chain(), second->shared_chain());
}

TEST(BadCertificate, ThatIsEmptyIsNamedAsSuch) {
  EXPECT_THAT(check_file("").found, error("the file is empty"));
  EXPECT_THAT(check_file(" \n\n").found, error("the file is empty"));
}

TEST(BadCertificate, WithoutACertificateIsNamedAsSuch) {
  const Issued site = issue({});
  EXPECT_THAT(check_file(site.key_pem()).found, error("there is no certificate"));
}

TEST(BadCertificate, WithoutAKeyIsNamedAsSuch) {
  const Issued site = issue({});
  EXPECT_THAT(check_file(site.certificate_pem()).found, error("there is no private key"));
}

TEST(BadCertificate, ThatIsTruncatedIsRefusedAtEveryLength) {
  const Issued site = issue({});
  const std::string pem = site.pem();
  for (std::size_t size = 0; size + 1 < pem.size(); ++size) {
    EXPECT_EQ(check_file(pem.substr(0, size)).certificate, nullptr) << size;
  }
  EXPECT_THAT(check_file(pem.substr(0, 200)).found,
              error("line 1: the block CERTIFICATE has no END line: the file is truncated"));
}

TEST(BadCertificate, WithAnyByteDamagedDoesNotCrash) {
  const Issued site = issue({.dns = {"a.example"}, .extended_key_usage = "serverAuth"}, &root());
  const std::vector<std::byte> der = site.der();
  for (std::size_t at = 0; at < der.size(); ++at) {
    for (const unsigned value : {0x00U, 0x30U, 0x80U, 0xffU}) {
      std::vector<std::byte> damaged(der);
      damaged[at] = static_cast<std::byte>(value);
      static_cast<void>(read_certificate(damaged));
      static_cast<void>(read_certificate(std::span(damaged).first(at)));
    }
  }
}

TEST(BadCertificate, InDerIsToldHowToBecomePem) {
  const std::vector<std::byte> der = issue({}).der();
  EXPECT_THAT(check_file({reinterpret_cast<const char*>(der.data()), der.size()}).found,
              error("convert it to PEM"));
}

TEST(BadCertificate, WithTheKeyOfAnotherIsNamedAsSuch) {
  for (const char* kind : {"P-256", "RSA-2048", "ED25519"}) {
    const Issued site = issue({.key = kind});
    EXPECT_THAT(check(site.certificate_pem(), issue({.key = kind}).key_pem()).found,
                error("is not the one of this certificate"));
    EXPECT_THAT(check(site.certificate_pem(), issue({.key = "P-384"}).key_pem()).found,
                error("is not the one of this certificate"));
  }
}

TEST(BadCertificate, WithAnEncryptedKeyIsToldHowToDecryptIt) {
  const Issued site = issue({});
  const Checked checked = check(site.certificate_pem(), site.encrypted_key_pem());
  EXPECT_THAT(checked.found, error("encrypted with a passphrase"));
  EXPECT_EQ(checked.found.front().file, "site.key");
}

TEST(BadCertificate, WhoseChainIsOutOfOrderIsNamedAsSuch) {
  const Issued site = issue({}, &intermediate());
  const std::string wrong =
      site.certificate_pem() + root().certificate_pem() + intermediate().certificate_pem();
  EXPECT_THAT(check(wrong, site.key_pem()).found, error("\"Root CA\") did not issue the one before it"));
}

TEST(BadCertificate, ThatDoesNotComeFirstIsNamedAsSuch) {
  const Issued site = issue({}, &intermediate());
  EXPECT_THAT(check(intermediate().certificate_pem() + site.certificate_pem(), site.key_pem()).found,
              error("the private key belongs to certificate 2"));
}

TEST(BadCertificate, OutOfItsValidityIsNamedWithTheDate) {
  const Issued expired = issue({.from = std::chrono::hours(-48), .until = std::chrono::hours(-24)});
  EXPECT_THAT(check_file(expired.pem()).found, error("the certificate expired on 20"));
  const Issued early = issue({.from = std::chrono::hours(24)});
  EXPECT_THAT(check_file(early.pem()).found, error("is not valid before 20"));
}

TEST(BadCertificate, WithAWeakKeyIsRefused) {
  EXPECT_THAT(check_file(issue({.key = "RSA-1024"}).pem()).found, error("RSA key of 1024 bits is too weak"));
}

TEST(BadCertificate, ForAnotherPurposeIsRefused) {
  const Issued site = issue({.extended_key_usage = "clientAuth"});
  EXPECT_THAT(check_file(site.pem()).found, error("does not include serverAuth"));
  EXPECT_NE(check(site.certificate_pem(), site.key_pem(), CertificatePurpose::kClient).certificate, nullptr);
  const Issued of_public_ca = issue({.extended_key_usage = "serverAuth"});
  const Checked shown =
      check(of_public_ca.certificate_pem(), of_public_ca.key_pem(), CertificatePurpose::kClient);
  EXPECT_NE(shown.certificate, nullptr);
  EXPECT_THAT(shown.found, warning("does not include clientAuth"));
}

TEST(BadCertificate, SignedWithSha1IsRefusedUnlessItSignedItself) {
  EXPECT_THAT(check_file(issue({.digest = "SHA1"}, &root()).pem()).found, error("signed with SHA-1"));
  EXPECT_THAT(check_file(issue({.digest = "SHA1"}).pem()).found, warning("signed with SHA-1"));
}

TEST(BadCertificate, WhoseKeyUsageForbidsSignaturesIsRefusedWhereTheLibraryRefusesIt) {
  const Checked unusable = check_file(issue({.key_usage = "keyAgreement"}).pem());
  EXPECT_THAT(unusable.found, test::is_on_awslc()
                                  ? error("its key usage does not allow digital signatures, and AWS-LC")
                                  : warning("its key usage does not allow digital signatures: clients that"));
  EXPECT_THAT(check_file(issue({.key_usage = "keyAgreement,digitalSignature"}).pem()).found, IsEmpty());
  // With RSA a client of TLS 1.2 may exchange keys without a signature.
  EXPECT_THAT(check_file(issue({.key = "RSA-2048", .key_usage = "keyEncipherment"}).pem()).found,
              warning("its key usage does not allow digital signatures: clients that"));
}

TEST(CertificateWarning, SaysWhenItExpiresSoon) {
  const Issued site = issue({.from = -std::chrono::hours(24 * 84), .until = std::chrono::hours(24 * 6 + 1)});
  EXPECT_THAT(check_file(site.pem()).found, warning("expires in 6 days"));
  EXPECT_THAT(check_file(site.pem()).found, warning("less than 25% of its life is left"));
}

TEST(CertificateWarning, OfTheEndGoesByTheShareOfTheLifeThatIsLeft) {
  using std::chrono::hours;
  EXPECT_THAT(check_file(issue({.until = hours(6 * 24)}).pem()).found, IsEmpty());
  EXPECT_THAT(check_file(issue({.until = hours(23)}).pem()).found, IsEmpty());
  EXPECT_THAT(
      check_file(issue({.from = -hours(20), .until = hours(4) + std::chrono::minutes(1)}).pem()).found,
      warning("expires in 4 hours"));
  EXPECT_THAT(check_file(issue({.from = -hours(24 * 68), .until = hours(24 * 22)}).pem()).found,
              warning("expires in"));
  EXPECT_THAT(check_file(issue({.from = -hours(24 * 66), .until = hours(24 * 24)}).pem()).found, IsEmpty());
}

TEST(CertificateWarning, NamesCertificatesThatAreNotOfTheChain) {
  const Issued site = issue({}, &intermediate());
  const std::string chain = site.certificate_pem() + intermediate().certificate_pem();
  const Issued stranger = issue({.common_name = "Old Root", .ca = true});
  const Checked extra = check(chain + root().certificate_pem() + stranger.certificate_pem(), site.key_pem());
  ASSERT_NE(extra.certificate, nullptr);
  EXPECT_THAT(extra.found, warning("\"Old Root\") did not issue the one before it"));
  EXPECT_EQ(extra.certificate->chain().der.size(), 3U);
}

TEST(CertificateWarning, NamesARepeatedCertificateAndLeavesItOut) {
  const Issued site = issue({}, &intermediate());
  const Checked twice = check(
      site.certificate_pem() + site.certificate_pem() + intermediate().certificate_pem(), site.key_pem());
  ASSERT_NE(twice.certificate, nullptr);
  EXPECT_THAT(twice.found, warning("is in the file a second time"));
  EXPECT_EQ(twice.certificate->chain().der.size(), 1U);
}

TEST(BadCertificate, WhoseIssuerIsNowhereInTheChainIsNamedAsSuch) {
  const Issued site = issue({}, &intermediate());
  const Issued stranger = issue({.common_name = "Old Root", .ca = true});
  EXPECT_THAT(check(site.certificate_pem() + stranger.certificate_pem(), site.key_pem()).found,
              error("\"Old Root\") did not issue the one before it"));
}

TEST(CertificateWarning, SaysWhatRsa4096Costs) {
  const Checked checked = check_file(issue({.key = "RSA-4096"}).pem());
  EXPECT_THAT(checked.found, warning("RSA-4096"));
  EXPECT_NE(checked.certificate, nullptr);
}

TEST(CertificateWarning, SaysThatTheIntermediateIsMissing) {
  const Issued site =
      issue({.authority_info_access = "caIssuers;URI:http://ca.example/ca.der"}, &intermediate());
  EXPECT_THAT(check_file(site.pem()).found, warning("the intermediate certificate is missing"));
  EXPECT_THAT(check_file(site.pem() + intermediate().certificate_pem()).found, IsEmpty());
}

TEST(CertificateWarning, SaysThatThereIsNoSubjectAlternativeName) {
  const Checked checked = check_file(issue({.no_san = true}).pem());
  EXPECT_THAT(checked.found, warning("no subject alternative name"));
  ASSERT_NE(checked.certificate, nullptr);
  EXPECT_TRUE(checked.certificate->holds_name("www.example.com"));
}

TEST(OcspStaple, IsTakenOnlyWhenItIsAboutTheCertificateAndGood) {
  const Issued site = issue({}, &root());
  const auto certificate = test::stored(site);
  const auto now = std::chrono::system_clock::now();
  const auto read = [&](const std::string& der, Diagnostics& out) {
    return read_ocsp_staple(der, "s.ocsp", *certificate, now, out);
  };
  const auto response = [](const Issued& leaf, int status, std::chrono::seconds until) {
    return test::ocsp_response(root(), leaf, status, until);
  };
  Diagnostics none, other, revoked, expired, garbage;
  EXPECT_NE(read(response(site, V_OCSP_CERTSTATUS_GOOD, std::chrono::hours(1)), none), nullptr);
  EXPECT_THAT(none, IsEmpty());
  EXPECT_EQ(read(response(issue({}, &root()), V_OCSP_CERTSTATUS_GOOD, std::chrono::hours(1)), other),
            nullptr);
  EXPECT_THAT(other, error("not about the certificate"));
  EXPECT_EQ(read(response(site, V_OCSP_CERTSTATUS_REVOKED, std::chrono::hours(1)), revoked), nullptr);
  EXPECT_THAT(revoked, error("is revoked"));
  EXPECT_EQ(read(response(site, V_OCSP_CERTSTATUS_GOOD, std::chrono::seconds(-1)), expired), nullptr);
  EXPECT_THAT(expired, warning("has expired"));
  EXPECT_EQ(read("garbage", garbage), nullptr);
  EXPECT_THAT(garbage, error("not a successful OCSP response"));
}

TEST(Pem, DecodesWhatOpensslEncodes) {
  const Issued site = issue({});
  const std::string pem = site.certificate_pem();
  const auto blocks = parse_pem(pem);
  ASSERT_TRUE(blocks);
  ASSERT_EQ(blocks->size(), 1U);
  EXPECT_TRUE(std::ranges::equal(blocks->front().der, site.der()));
}

TEST(Pem, NamesTheLineThatIsWrong) {
  const auto bad = parse_pem("text\n-----BEGIN X-----\nAAAA\n!!!!\n-----END X-----\n");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().what, "line 4: not base64");
  EXPECT_FALSE(parse_pem("-----BEGIN X-----\nAAA\n-----END X-----\n"));
  EXPECT_FALSE(parse_pem("-----BEGIN X-----\nAAAA\n-----END Y-----\n"));
}

TEST(Pem, PassesOverNoBlockWhoseBeginOrEndIsNotAtItsPlace) {
  const std::string block = "-----BEGIN X-----\nAAAA\n-----END X-----\n";
  for (const std::string_view second :
       {"  -----BEGIN X-----\n  AAAA\n  -----END X-----\n", "\t-----BEGIN X-----\nAAAA\n-----END X-----\n",
        "----BEGIN X-----\nAAAA\n-----END X-----\n", "AAAA\n-----END X-----\n"}) {
    EXPECT_FALSE(parse_pem(block + std::string(second))) << second;
  }
  EXPECT_TRUE(parse_pem("# -----BEGIN X----- is what follows:\n" + block));
}

TEST(Pem, NamesLostLineBreaksAndNoPartOfTheBlock) {
  for (const std::string_view text :
       {"-----BEGIN EC PRIVATE KEY----- c2VjcmV0 -----END EC PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\\nc2VjcmV0\\n-----END EC PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\rc2VjcmV0\r-----END EC PRIVATE KEY-----\r",
        "-----BEGIN EC PRIVATE KEY-----c2VjcmV0-----END EC PRIVATE KEY-----\n"}) {
    const auto blocks = parse_pem(text);
    ASSERT_FALSE(blocks);
    EXPECT_EQ(blocks.error().what,
              "line 1: the line breaks are lost: a PEM block has its BEGIN, its base64 and its END on lines "
              "of their "
              "own");
  }
}

TEST(Pem, ShowsNoLabelThatIsNotInWordsOfCapitals) {
  const auto fault_of = [](std::string_view text) {
    const auto blocks = parse_pem(text);
    return blocks ? std::string("none") : blocks.error().what;
  };
  const std::string_view not_a_label =
      "line 1: a BEGIN line whose label is not in words of capitals: the file is damaged";
  EXPECT_EQ(fault_of("-----BEGIN c2VjcmV0-----\n"), not_a_label);
  EXPECT_EQ(fault_of("-----BEGIN MIIEVQIBADANBGKQHKIG9W0BAQEFAASCBD8WGGQ7AGEA-----\n"), not_a_label);
  EXPECT_EQ(fault_of("-----BEGIN c2VjcmV0\n"),
            "line 1: a BEGIN line that does not end in five dashes: the file is damaged");
}

}  // namespace
}  // namespace headgate
