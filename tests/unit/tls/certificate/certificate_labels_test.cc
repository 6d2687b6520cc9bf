#include "tls/certificate/certificate_labels.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace headgate {
namespace {

config::Certificate listed(std::string file) {
  config::Certificate one;
  one.certificate = std::move(file);
  return one;
}

TEST(CertificateLabels, AreTheFilesAndDirectoriesOfTheConfiguration) {
  config::Tls tls;
  tls.certificates = {listed("/etc/b.pem"), listed("/etc/certs/a.pem")};
  tls.certificate_dirs = {"/etc/certs", "/etc/more"};
  const CertificateLabels labels(tls);
  EXPECT_EQ(labels.of("/etc/b.pem"), "/etc/b.pem");
  EXPECT_EQ(labels.of("/etc/certs/a.pem"), "/etc/certs/a.pem");
  EXPECT_EQ(labels.of("/etc/certs/c.pem"), "/etc/certs");
  EXPECT_EQ(labels.of("/etc/more/b.pem"), "/etc/more");
  EXPECT_EQ(labels.of("/etc/certs/below/c.pem"), "other");
  EXPECT_EQ(labels.of("/etc/c.pem"), "other");
  EXPECT_EQ(labels.of("in-memory"), "other");
}

TEST(CertificateLabels, AreBoundedHoweverManyFilesAreListed) {
  config::Tls tls;
  for (std::size_t i = 0; i < CertificateLabels::kMost + 1; ++i)
    tls.certificates.push_back(listed("/etc/" + std::to_string(i) + ".pem"));
  tls.certificate_dirs = {"/etc/certs"};
  const CertificateLabels labels(tls);
  EXPECT_EQ(labels.of("/etc/99.pem"), "/etc/99.pem");
  EXPECT_EQ(labels.of("/etc/100.pem"), "other");
  EXPECT_EQ(labels.of("/etc/certs/a.pem"), "other");
}

TEST(CertificateLabels, OfNoConfigurationAreOther) {
  EXPECT_EQ(CertificateLabels().of("/etc/a.pem"), CertificateLabels::kOther);
}

}  // namespace
}  // namespace headgate
