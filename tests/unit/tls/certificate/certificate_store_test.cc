#include "tls/certificate/certificate_store.h"

#include <unistd.h>

#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/tls/test_pki.h"

namespace headgate {
namespace {

using test::issue;
using test::Issued;
using test::stored;
using test::TemporaryDirectory;
using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

/// A ClientHello that asks for `name`. The client can verify the algorithms of its lists, which live as long
/// as the test.
class Client {
 public:
  Client(std::string name, std::vector<std::uint16_t> schemes, bool tls13, std::vector<std::uint16_t> suites)
      : schemes_(wire(schemes)),
        suites_(wire(suites)),
        versions_(wire({tls13 ? std::uint16_t{0x0304} : std::uint16_t{0x0303}})) {
    hello_.server_name = std::move(name);
    hello_.legacy_version = 0x0303;
    hello_.signature_algorithms = Uint16List(schemes_);
    hello_.cipher_suites = Uint16List(suites_);
    hello_.supported_versions = Uint16List(versions_);
  }
  [[nodiscard]] const ClientHello& hello() const { return hello_; }

  static Client modern(std::string name) { return {std::move(name), {0x0403, 0x0804}, true, {0x1301}}; }
  static Client rsa_only(std::string name) { return {std::move(name), {0x0804}, true, {0x1301}}; }
  static Client tls12_rsa(std::string name) { return {std::move(name), {0x0403, 0x0401}, false, {0xc02f}}; }
  static Client tls12_silent(std::string name) { return {std::move(name), {}, false, {0xc02b, 0xc02f}}; }

 private:
  static std::vector<std::byte> wire(const std::vector<std::uint16_t>& numbers) {
    std::vector<std::byte> bytes;
    for (const std::uint16_t number : numbers) {
      bytes.push_back(static_cast<std::byte>(number >> 8));
      bytes.push_back(static_cast<std::byte>(number & 0xff));
    }
    return bytes;
  }
  std::vector<std::byte> schemes_, suites_, versions_;
  ClientHello hello_;
};

class Selecting : public testing::Test {
 protected:
  [[nodiscard]] Selection select(const Client& client) const {
    return store_->select(client.hello(), std::chrono::system_clock::now());
  }
  [[nodiscard]] std::string file_for(const Client& client) const {
    const Selection selection = select(client);
    return selection.certificate == nullptr ? "none" : std::string(selection.certificate->file());
  }
  static std::shared_ptr<const CertificateStore> make(
      config::UncoveredName unknown, config::UncoveredName missing = config::UncoveredName::kServeDefault) {
    config::Tls tls;
    tls.unknown_name = unknown;
    tls.missing_name = missing;
    static const std::vector<std::shared_ptr<const StoredCertificate>> all{
        stored(issue({.common_name = "default.example"}), "default"),
        stored(issue({.common_name = "www.example.com", .key = "RSA-2048"}), "www-rsa"),
        stored(issue({.common_name = "www.example.com"}), "www-ecdsa"),
        stored(issue({.common_name = "*.example.com"}), "wildcard"),
        stored(issue({.common_name = "only-ecdsa.example.com"}), "only-ecdsa"),
        stored(issue({.common_name = "*.example.com", .key = "RSA-2048"}), "wildcard-rsa"),
        stored(issue({.common_name = "xn--bcher-kva.example"}), "idn"),
        stored(issue({.dns = {"ip.example"}, .addresses = {"192.0.2.1", "2001:db8::1"}}), "address"),
        stored(issue({.common_name = "default.example", .key = "RSA-2048"}), "default-rsa"),
    };
    return CertificateStore::of(tls, all);
  }

  std::shared_ptr<const CertificateStore> store_ = make(config::UncoveredName::kServeDefault);
};

TEST_F(Selecting, PrefersTheExactNameAndTheCheaperKey) {
  EXPECT_EQ(file_for(Client::modern("www.example.com")), "www-ecdsa");
  EXPECT_EQ(select(Client::modern("www.example.com")).why, "exact name");
}

TEST_F(Selecting, ServesRsaToWhoCannotVerifyEcdsa) {
  EXPECT_EQ(file_for(Client::rsa_only("www.example.com")), "www-rsa");
  EXPECT_EQ(file_for(Client::tls12_rsa("www.example.com")), "www-rsa");
  EXPECT_EQ(file_for(Client::tls12_silent("www.example.com")), "www-ecdsa");
}

TEST_F(Selecting, TakesAWildcardForOneLabelOnly) {
  EXPECT_EQ(file_for(Client::modern("api.example.com")), "wildcard");
  EXPECT_EQ(select(Client::modern("api.example.com")).why, "wildcard");
  EXPECT_EQ(file_for(Client::modern("a.b.example.com")), "default");
  EXPECT_EQ(file_for(Client::modern("example.com")), "default");
}

TEST_F(Selecting, TakesAVerifiableWildcardBeforeAnExactNameTheClientCannotVerify) {
  EXPECT_EQ(file_for(Client::rsa_only("only-ecdsa.example.com")), "wildcard-rsa");
}

TEST_F(Selecting, ServesInternationalNamesInTheirAsciiForm) {
  EXPECT_EQ(file_for(Client::modern("xn--bcher-kva.example")), "idn");
}

TEST_F(Selecting, ServesAddressesWithAndWithoutBrackets) {
  EXPECT_EQ(file_for(Client::modern("192.0.2.1")), "address");
  EXPECT_EQ(file_for(Client::modern("2001:db8::1")), "address");
  EXPECT_EQ(file_for(Client::modern("[2001:db8::1]")), "address");
  EXPECT_EQ(file_for(Client::modern("192.0.2.2")), "default");
}

TEST_F(Selecting, FallsBackToTheDefaultInTheKindTheClientVerifies) {
  EXPECT_EQ(file_for(Client::modern("")), "default");
  EXPECT_EQ(file_for(Client::rsa_only("")), "default-rsa");
  EXPECT_EQ(file_for(Client::rsa_only("unknown.example")), "default-rsa");
  EXPECT_EQ(select(Client::modern("")).why, "default: the client named no server");
  EXPECT_EQ(select(Client::modern("unknown.example")).why, "default: no certificate has this name");
}

TEST_F(Selecting, PrefersTheOneThatIsValidThenTheOneThatEndsLast) {
  using std::chrono::hours;
  const auto ends = [](int in_hours, std::string key, std::string name = "www.example.com") {
    return issue({.common_name = std::move(name), .key = std::move(key), .until = hours(in_hours)});
  };
  store_ = CertificateStore::of(
      {}, {stored(ends(10, "P-256"), "first"), stored(ends(20, "P-256"), "last"),
           stored(ends(30, "RSA-2048"), "rsa"), stored(ends(40, "P-256", "*.example.com"), "wildcard")});
  const auto file_after = [this](int in_hours) {
    const auto client = Client::modern("www.example.com");
    return store_->select(client.hello(), std::chrono::system_clock::now() + hours(in_hours))
        .certificate->file();
  };
  EXPECT_EQ(file_after(0), "last");
  EXPECT_EQ(file_after(25), "rsa");
  EXPECT_EQ(file_after(35), "wildcard");
  EXPECT_EQ(file_after(50), "last");
}

TEST_F(Selecting, KeepsTheFirstDefaultUntilItExpires) {
  using std::chrono::hours;
  store_ = CertificateStore::of(
      {}, {stored(issue({.until = hours(10)}), "first"), stored(issue({.until = hours(20)}), "second")});
  const auto client = Client::modern("");
  const auto now = std::chrono::system_clock::now();
  EXPECT_EQ(store_->select(client.hello(), now).certificate->file(), "first");
  EXPECT_EQ(store_->select(client.hello(), now + hours(15)).certificate->file(), "second");
}

TEST_F(Selecting, RefusesUnknownNamesWhereThatIsWanted) {
  store_ = make(config::UncoveredName::kReject);
  EXPECT_EQ(file_for(Client::modern("unknown.example")), "none");
  EXPECT_EQ(file_for(Client::modern("www.example.com")), "www-ecdsa");
  EXPECT_EQ(file_for(Client::modern("")), "default");
}

TEST_F(Selecting, RefusesClientsWithoutANameWhereThatIsWanted) {
  store_ = make(config::UncoveredName::kServeDefault, config::UncoveredName::kReject);
  EXPECT_EQ(file_for(Client::modern("")), "none");
  EXPECT_EQ(select(Client::modern("")).why, "refused: the client named no server");
  EXPECT_EQ(file_for(Client::modern("www.example.com")), "www-ecdsa");
  EXPECT_EQ(file_for(Client::modern("unknown.example")), "default");
}

class Loading : public testing::Test {
 protected:
  std::shared_ptr<const CertificateStore> load(const CertificateStore* previous = nullptr,
                                               const ChangedFiles* changed = nullptr,
                                               std::chrono::seconds later = {}) {
    out_.clear();
    return CertificateStore::load(tls_, previous, changed, std::chrono::system_clock::now() + later, out_);
  }
  /// Returns the certificate for that name; nullptr when no certificate has it.
  static const StoredCertificate* find(const CertificateStore& store, std::string_view name) {
    const StoredCertificate* found = nullptr;
    store.for_each([&](const StoredCertificate& one) { found = one.holds_name(name) ? &one : found; });
    return found;
  }
  void list(const std::string& certificate, const std::string& key = "") {
    config::Certificate one;
    one.certificate = certificate;
    one.private_key = key;
    tls_.certificates.push_back(one);
  }
  void write_listed(const std::string& file, const Issued& issued) {
    list(directory_.write(file + ".pem", issued.pem()));
  }
  /// Returns the certificate that a client with that name gets; nullptr for the default.
  static const StoredCertificate* select(const CertificateStore& store, const std::string& name) {
    const Client client = Client::modern(name);
    const Selection selection = store.select(client.hello(), std::chrono::system_clock::now());
    return selection.why == "exact name" ? selection.certificate : nullptr;
  }
  static auto finding(Severity severity, const std::string& what) {
    return Contains(AllOf(Field(&Diagnostic::severity, severity), Field(&Diagnostic::what, HasSubstr(what))));
  }

  TemporaryDirectory directory_;
  config::Tls tls_;
  Diagnostics out_;
};

TEST_F(Loading, ReadsListedFilesThenDirectoriesByName) {
  list(directory_.write("main.crt", issue({.common_name = "main"}).pem()));
  TemporaryDirectory many;
  const Issued split = issue({.common_name = "b"});
  many.write("c.pem", issue({.common_name = "c"}).pem());
  many.write("b.crt", split.certificate_pem());
  many.write("b.key", split.key_pem());
  many.write("readme.txt", "no certificate");
  tls_.certificate_dirs = {many.path()};
  const auto store = load();
  ASSERT_NE(store, nullptr) << out_.front().what;
  ASSERT_EQ(store->size(), 3U);
  EXPECT_TRUE(store->default_certificate().holds_name("main"));
  EXPECT_NE(find(*store, "b"), nullptr);
  EXPECT_EQ(store->files_read(), 4U);
}

TEST_F(Loading, OfAListedFileThatIsNotThereFailsByItsName) {
  list(directory_.path() + "/absent.pem");
  EXPECT_EQ(load(), nullptr);
  EXPECT_THAT(out_, finding(Severity::kError, "No such file or directory"));
}

TEST_F(Loading, OfAnUnreadableFileFailsByItsName) {
  if (geteuid() == 0) GTEST_SKIP() << "root reads everything";
  const std::string path = directory_.write("closed.pem", issue({}).pem());
  std::filesystem::permissions(path, std::filesystem::perms::none);
  list(path);
  EXPECT_EQ(load(), nullptr);
  EXPECT_THAT(out_, finding(Severity::kError, "Permission denied"));
}

TEST_F(Loading, WarnsOfAKeyThatEveryUserCanRead) {
  const Issued issued = issue({});
  const std::string certificate = directory_.write("a.crt", issued.certificate_pem());
  const std::string key = directory_.write("a.key", issued.key_pem());
  std::filesystem::permissions(certificate, std::filesystem::perms(0644));
  list(certificate, key);
  ASSERT_NE(load(), nullptr);
  EXPECT_THAT(out_, testing::Not(finding(Severity::kWarning, "the private key")));
  std::filesystem::permissions(key, std::filesystem::perms(0644));
  ASSERT_NE(load(), nullptr);
  EXPECT_THAT(out_, finding(Severity::kWarning, "every user of the machine can read the private key"));
  EXPECT_THAT(out_, finding(Severity::kWarning, "chmod o= " + key));
}

TEST_F(Loading, WarnsOfAKeyThatEveryUserCanReplace) {
  const Issued issued = issue({});
  const std::string certificate = directory_.write("a.crt", issued.certificate_pem());
  const std::string key = directory_.write("a.key", issued.key_pem());
  list(certificate, key);
  for (const auto& [mode, means] : {std::pair{0602, "replace"}, std::pair{0666, "read and replace"}}) {
    std::filesystem::permissions(key, std::filesystem::perms(mode));
    ASSERT_NE(load(), nullptr);
    EXPECT_THAT(out_, finding(Severity::kWarning,
                              std::string("every user of the machine can ") + means + " the private key"));
  }
}

TEST_F(Loading, OfNothingAtAllIsAStoreThatRefusesEveryClient) {
  const auto store = load();
  ASSERT_NE(store, nullptr);
  EXPECT_TRUE(store->is_empty());
  EXPECT_TRUE(out_.empty());
  for (const char* name : {"a.example", ""}) {
    const Selection selection = store->select(Client::modern(name).hello(), std::chrono::system_clock::now());
    EXPECT_EQ(selection.certificate, nullptr);
    EXPECT_EQ(selection.why, "refused: the listener has no certificate");
  }
}

TEST_F(Loading, OfADirectoryWithoutACertificateFails) {
  tls_.certificate_dirs = {directory_.path()};
  EXPECT_EQ(load(), nullptr);
  EXPECT_THAT(out_, finding(Severity::kError, "no certificate can be used"));
}

TEST_F(Loading, LeavesABadFileOfADirectoryOutAndSaysSo) {
  directory_.write("good.pem", issue({}).pem());
  directory_.write("half.pem", issue({}).pem().substr(0, 300));
  tls_.certificate_dirs = {directory_.path()};
  const auto store = load();
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->size(), 1U);
  EXPECT_THAT(out_, finding(Severity::kLeftOut, "truncated; the file is left out"));
}

TEST_F(Loading, ReadsOnlyWhatChanged) {
  for (int i = 0; i < 20; ++i) {
    const std::string name = "n" + std::to_string(i);
    directory_.write(name + ".pem", issue({.common_name = name}).pem());
  }
  tls_.certificate_dirs = {directory_.path()};
  const auto first = load();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->files_read(), 20U);
  directory_.write("n7.pem", issue({.dns = {"n7", "renewed.example"}}).pem());
  const auto second = load(first.get());
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->files_read(), 1U);
  EXPECT_EQ(find(*second, "n3"), find(*first, "n3"));
  EXPECT_NE(find(*second, "n7"), find(*first, "n7"));
  EXPECT_EQ(find(*first, "renewed.example"), nullptr);
  EXPECT_NE(find(*second, "renewed.example"), nullptr);
}

TEST_F(Loading, KeepsWhatAFileOfADirectoryHeldWhenTheNewOneWouldTakeANameAway) {
  directory_.write("site.pem", issue({.dns = {"a.example", "b.example"}}).pem());
  tls_.certificate_dirs = {directory_.path()};
  const auto first = load();
  directory_.write("site.pem", issue({.dns = {"a.example"}}).pem());
  const auto second = load(first.get());
  ASSERT_NE(second, nullptr);
  EXPECT_NE(find(*second, "b.example"), nullptr);
  EXPECT_THAT(out_, finding(Severity::kLeftOut, "it no longer covers b.example, which is served now"));
  directory_.write("other.pem", issue({.dns = {"b.example"}}).pem());  // now another file has the name
  const auto third = load(second.get());
  EXPECT_FALSE(find(*third, "a.example")->holds_name("b.example"));
  EXPECT_NE(find(*third, "b.example"), nullptr);
}

TEST_F(Loading, KeepsAListedCertificateWhoseFileCannotBeUsedAndTakesTheOthers) {
  write_listed("a", issue({.common_name = "a.example"}));
  write_listed("b", issue({.common_name = "b.example"}));
  const auto first = load();
  ASSERT_NE(first, nullptr);
  directory_.write("a.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
  directory_.write("b.pem", issue({.dns = {"b.example", "new.example"}}).pem());
  const auto second = load(first.get());
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(find(*second, "a.example"), find(*first, "a.example"));
  EXPECT_NE(find(*second, "new.example"), nullptr);
  EXPECT_THAT(out_, finding(Severity::kKept, "what was loaded before stays in use"));
  ASSERT_EQ(second->refused().size(), 1U);
  EXPECT_TRUE(second->refused().begin()->second.kept);
}

TEST_F(Loading, KeepsAListedCertificateThatWouldLoseANameThoughThereIsADirectory) {
  TemporaryDirectory empty;
  tls_.certificate_dirs = {empty.path()};
  write_listed("a", issue({.dns = {"a.example", "b.example"}}));
  const auto first = load();
  directory_.write("a.pem", issue({.dns = {"a.example"}}).pem());
  const auto second = load(first.get());
  ASSERT_NE(second, nullptr);
  EXPECT_NE(find(*second, "b.example"), nullptr);
  EXPECT_THAT(out_, finding(Severity::kKept, "it no longer covers b.example"));
}

TEST_F(Loading, DoesNotLeaveANameToAnExpiredCertificate) {
  write_listed("a", issue({.dns = {"a.example", "b.example"}}));
  write_listed("b", issue({.dns = {"b.example"}, .until = std::chrono::hours(1)}));
  const auto first = load();
  ASSERT_NE(first, nullptr);
  directory_.write("a.pem", issue({.dns = {"a.example"}}).pem());
  const auto later = load(first.get(), nullptr, std::chrono::hours(2));
  ASSERT_NE(later, nullptr);
  EXPECT_EQ(find(*later, "a.example"), find(*first, "a.example"));
  EXPECT_THAT(out_, finding(Severity::kKept, "it no longer covers b.example"));
  EXPECT_NE(find(*load(first.get()), "a.example"),
            find(*first, "a.example"));  // while the other one is valid
}

TEST_F(Loading, TakesAWildcardForTheNamesThatItCovers) {
  write_listed("a", issue({.dns = {"a.example.com", "b.example.com"}}));
  const auto first = load();
  directory_.write("a.pem", issue({.common_name = "*.example.com"}).pem());
  const auto second = load(first.get());
  EXPECT_NE(find(*second, "*.example.com"), nullptr);
  EXPECT_THAT(out_, testing::Not(finding(Severity::kKept, "covers")));
}

TEST_F(Loading, StartsWithTheCertificatesOfTheProcessBeforeWhereFilesCannotBeUsed) {
  TemporaryDirectory many;
  many.write("many.pem", issue({.common_name = "many.example"}).pem());
  tls_.certificate_dirs = {many.path()};
  write_listed("a", issue({.common_name = "a.example"}));
  auto before = load();
  many.write("many.pem", "half");
  before = load(before.get());
  const auto inherited = CertificateStore::of_in_use(before->in_use());
  directory_.write("a.pem", "half");
  const auto store = load(inherited.get());
  ASSERT_NE(store, nullptr);
  EXPECT_NE(find(*store, "a.example"), nullptr);
  EXPECT_NE(find(*store, "many.example"), nullptr);
  EXPECT_EQ(store->refused().size(), 2U);
}

TEST_F(Loading, IgnoresAFileOfAuthoritiesInADirectory) {
  const Issued ca = issue({.common_name = "ca", .ca = true});
  const Issued site = issue({.common_name = "a.example"}, &ca);
  directory_.write("tls.crt", site.certificate_pem());
  directory_.write("tls.key", site.key_pem());
  directory_.write("ca.crt", ca.certificate_pem());
  tls_.certificate_dirs = {directory_.path()};
  ASSERT_NE(load(), nullptr);
  EXPECT_THAT(out_, testing::IsEmpty());
}

class LoadingChanges : public Loading {
 protected:
  void SetUp() override {
    for (const char* name : {"b", "c", "d"}) write(name, name);
    tls_.certificate_dirs = {directory_.path()};
    first_ = load();
    ASSERT_NE(first_, nullptr);
  }
  std::string write(const std::string& file, const std::string& name) {
    return directory_.write(file + ".pem", issue({.dns = {file + ".example", name + ".example"}}).pem());
  }
  std::shared_ptr<const CertificateStore> load_changed(const ChangedFiles& changed) {
    return load(first_.get(), &changed);
  }

  std::shared_ptr<const CertificateStore> first_;
};

TEST_F(LoadingChanges, LooksAtNothingElse) {
  write("c", "elsewhere");
  const std::string changed = write("d", "renewed");
  const auto second = load_changed({changed});
  EXPECT_EQ(second->files_read(), 1U);
  EXPECT_NE(find(*second, "renewed.example"), nullptr);
  EXPECT_NE(find(*second, "d.example"), find(*first_, "d.example"));
  EXPECT_EQ(find(*second, "c.example"), find(*first_, "c.example"));
  EXPECT_FALSE(find(*first_, "d.example")->holds_name("renewed.example"));  // connections may still use it
  EXPECT_EQ(second->size(), 3U);
}

TEST_F(LoadingChanges, TakesInAFileThatCameAndLetsGoOfOneThatWent) {
  const std::string came = write("e", "e"), gone = directory_.path() + "/b.pem";
  std::filesystem::remove(gone);
  const auto second = load_changed({came, gone});
  EXPECT_EQ(second->size(), 3U);
  EXPECT_NE(find(*second, "e.example"), nullptr);
  EXPECT_EQ(find(*second, "b.example"), nullptr);
}

TEST_F(LoadingChanges, TheDefaultIsTheFirstByFileNameAgain) {
  const std::string earlier = write("a", "a");
  EXPECT_TRUE(load_changed({earlier})->default_certificate().holds_name("a.example"));
  const std::string renewed = write("b", "renewed");
  EXPECT_TRUE(load_changed({renewed})->default_certificate().holds_name("renewed.example"));
  std::filesystem::remove(earlier);
  std::filesystem::remove(renewed);
  EXPECT_TRUE(load_changed({renewed})->default_certificate().holds_name("c.example"));
}

TEST_F(LoadingChanges, WhatWasHeldBackForANameIsTakenWhenAnotherFileHasTheName) {
  first_ = load_changed({write("b", "extra")});
  ASSERT_NE(select(*first_, "extra.example"), nullptr);
  const auto second = load_changed({write("b", "b")});
  EXPECT_THAT(out_, finding(Severity::kLeftOut, "it no longer covers extra.example"));
  EXPECT_TRUE(find(*second, "b.example")->holds_name("extra.example"));
  first_ = second;
  const auto third = load_changed({write("e", "extra")});
  EXPECT_FALSE(find(*third, "b.example")->holds_name("extra.example"));
  EXPECT_NE(select(*third, "extra.example"), nullptr);
}

TEST_F(LoadingChanges, AChangedKeyConcernsTheCertificateBesideIt) {
  const Issued apart = issue({.common_name = "apart.example"}),
               other = issue({.common_name = "apart.example"});
  const std::string certificate = directory_.write("x.crt", apart.certificate_pem());
  const std::string key = directory_.write("x.key", apart.key_pem());
  first_ = load(first_.get());
  ASSERT_NE(find(*first_, "apart.example"), nullptr);
  directory_.write("x.key", other.key_pem());
  const auto second = load_changed({key});
  EXPECT_THAT(out_, finding(Severity::kLeftOut, "what the file held before stays in use"));
  EXPECT_EQ(find(*second, "apart.example"), find(*first_, "apart.example"));
  directory_.write("x.crt", other.certificate_pem());
  EXPECT_NE(find(*load_changed({certificate, key}), "apart.example"), find(*first_, "apart.example"));
}

TEST_F(LoadingChanges, NamesOfManyStayFoundWhileTheyAreRenewedOneByOne) {
  std::map<std::string, std::string> expected;  // by file
  for (int round = 0; round < 40; ++round) {
    const std::string number = std::to_string(round % 7), file = "m" + number, name = "r" + number;
    const auto before = first_;
    first_ = load_changed({write(file, name)});
    expected[file] = name;
    EXPECT_NE(select(*first_, name + ".example"), select(*before, name + ".example"));
    for (const auto& [at, held] : expected) {
      EXPECT_NE(select(*first_, held + ".example"), nullptr) << held;
    }
    EXPECT_EQ(first_->size(), 3 + expected.size());
  }
}

TEST_F(LoadingChanges, AFileOfAnotherDirectoryChangesNothing) {
  const auto second = load_changed({"/elsewhere/b.pem", directory_.path() + "/deeper/b.pem"});
  EXPECT_EQ(second->files_read(), 0U);
  EXPECT_EQ(second->size(), 3U);
}

TEST_F(LoadingChanges, ChainsStaySharedWithThoseOfTheStoreBefore) {
  const Issued ca = issue({.common_name = "CA", .ca = true});
  const auto below = [&](const std::string& name) {
    return directory_.write(name + ".pem", issue({.common_name = name}, &ca).pem() + ca.certificate_pem());
  };
  first_ = load_changed({below("one.example"), below("two.example")});
  const auto second = load_changed({below("one.example")});
  EXPECT_EQ(&find(*second, "one.example")->chain(), &find(*first_, "two.example")->chain());
}

TEST_F(Loading, KeepsWhatAHalfWrittenFileOfADirectoryHeldBefore) {
  directory_.write("site.pem", issue({}).pem());
  tls_.certificate_dirs = {directory_.path()};
  const auto first = load();
  directory_.write("site.pem", issue({}).pem().substr(0, 300));
  const auto second = load(first.get());
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(&second->default_certificate(), &first->default_certificate());
  EXPECT_THAT(out_, finding(Severity::kLeftOut, "what the file held before stays in use"));
}

TEST_F(Loading, TakesANewStapleWithoutReadingTheCertificateAgain) {
  const Issued ca = issue({.common_name = "CA", .ca = true});
  const Issued site = issue({}, &ca);
  list(directory_.write("site.pem", site.pem() + ca.certificate_pem()));
  tls_.certificates.front().ocsp_staple = directory_.write(
      "site.ocsp", test::ocsp_response(ca, site, V_OCSP_CERTSTATUS_GOOD, std::chrono::hours(1)));
  const auto first = load();
  ASSERT_NE(first, nullptr) << out_.front().what;
  ASSERT_NE(first->default_certificate().staple(), nullptr);
  directory_.write("site.ocsp",
                   test::ocsp_response(ca, site, V_OCSP_CERTSTATUS_GOOD, std::chrono::hours(200)));
  const auto second = load(first.get());
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->files_read(), 1U);
  EXPECT_GT(second->default_certificate().staple()->next_update,
            first->default_certificate().staple()->next_update);
}

TEST_F(Loading, WarnsOfAKeySharedByUnrelatedNames) {
  const Issued one = issue({.common_name = "one.example"});
  Issued other = issue({.common_name = "other.example.net"});
  EVP_PKEY_up_ref(one.key.get());
  other.key.reset(one.key.get());
  X509_set_pubkey(other.certificate.get(), other.key.get());
  X509_sign(other.certificate.get(), other.key.get(), EVP_sha256());
  list(directory_.write("one.pem", one.pem()));
  list(directory_.write("other.pem", other.pem()));
  ASSERT_NE(load(), nullptr);
  EXPECT_THAT(out_, finding(Severity::kWarning, "shares its key with the unrelated certificate"));
}

}  // namespace
}  // namespace headgate
