#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <unordered_map>
#include <unordered_set>

#include "tls/certificate/certificate_material.h"
#include "tls/certificate/certificate_store.h"
#include "tls/certificate/ocsp_staple.h"
#include "tls/openssl/asn1_time.h"

namespace headgate {

namespace fs = std::filesystem;

namespace {

std::string item_key(const char* list, std::size_t index) {
  return std::string(list) + '[' + std::to_string(index) + ']';
}

}  // namespace

/// Makes a CertificateStore from files and from the store before it.
class CertificateStore::Loader {
 public:
  Loader(const CertificateStore* previous, const ChangedFiles* changed, WallTime now, Diagnostics& out)
      : previous_(previous),
        changed_(changed),
        now_(now),
        out_(out),
        chains_(previous == nullptr ? std::make_shared<ChainPool>() : previous->chains_) {
    chains_->drop_unused();
    if (previous_ == nullptr) return;
    for (const Listed& one : previous_->listed_) listed_before_.emplace(one.held.certificate->file(), &one);
  }

  Contents load(const config::Tls& tls) {
    Contents contents;
    for (std::size_t i = 0; i < tls.certificates.size(); ++i) {
      auto one = load_listed(tls.certificates[i], item_key("certificates", i));
      if (one) contents.listed.push_back(std::move(*one));
    }
    for (std::size_t i = 0; i < tls.certificate_dirs.size(); ++i) {
      auto one = load_directory(tls.certificate_dirs[i], item_key("certificate_dirs", i));
      if (one) contents.directories.push_back(std::move(one));
    }
    contents.chains = std::move(chains_);
    return contents;
  }
  [[nodiscard]] std::size_t files_read() const { return files_read_; }
  /// The certificates that were not taken from the store before, in order.
  [[nodiscard]] const Fresh& fresh() const { return fresh_; }

  /// If a changed file of a directory would take a name away from `store`, its certificate from before stays.
  /// A file that was removed from the directory is meant to be gone.
  void keep_names(CertificateStore& store) {
    for (const Replaced& one : replaced_) {
      const auto old_names = one.before->certificate->names();
      const auto lost =
          std::ranges::find_if(old_names, [&](std::string_view name) { return !store.holds_name(name); });
      if (lost == old_names.end()) continue;
      const std::string file(one.before->certificate->file());
      out_.push_back({Severity::kLeftOut, file,
                      "it no longer covers " + std::string(*lost) +
                          ", which is served now; what the file held before stays in use",
                      one.config_key});
      auto& directory = *std::ranges::find(store.directories_, one.directory,
                                           [](const Directory& each) { return each->path(); });
      directory = with(directory, {{file, one.before}});
      std::erase_if(fresh_, [&](const auto& each) { return each->file() == file; });
      store.held_back_.push_back(file);
      store.find_defaults();
    }
  }

 private:
  /// Where one certificate is. `key` equals `certificate` when it is in the same file.
  struct Source {
    std::string certificate, key;
  };
  using Directory = std::shared_ptr<const CertificateDirectory>;
  using Change = CertificateDirectory::Change;
  /// A file of a directory with new contents.
  struct Replaced {
    std::string directory;
    std::shared_ptr<const HeldCertificate> before;
    std::string config_key;
  };

  std::optional<Listed> load_listed(const config::Certificate& settings, const std::string& config_key) {
    const Source source{settings.certificate,
                        settings.private_key.empty() ? settings.certificate : settings.private_key};
    Diagnostics found;
    const auto before = listed_before_.find(source.certificate);
    std::optional<Listed> one;
    if (before != listed_before_.end() && is_unchanged(source, before->second->held)) {
      one = *before->second;
    } else {
      const auto live = before == listed_before_.end() ? nullptr : in_use(*before->second);
      if (auto held = read_one(source, live.get(), found)) {
        check_with_openssl(*held, found);
        one = Listed{.held = std::move(*held)};
      }
    }
    if (one) load_staple(settings.ocsp_staple, *one, found);
    const bool usable = one && !has_errors(found);
    if (usable) one->canary = canary_for(settings, *one);
    add_below(out_, std::move(found), config_key);
    return usable ? std::move(one) : std::nullopt;
  }

  /// The comparison of the certificate of `one` from now on; nullptr: all clients get it.
  std::shared_ptr<CertificateCanary> canary_for(const config::Certificate& settings,
                                                const Listed& one) const {
    const auto found = listed_before_.find(settings.certificate);
    if (found == listed_before_.end() || settings.canary_percent == 0) return nullptr;
    const Listed& before = *found->second;
    const StoredCertificate& fresh = *one.held.certificate;
    auto old = in_use(before);
    if (fresh.fingerprint() == old->fingerprint()) return nullptr;
    if (old->not_after() - now_ <= kCanaryEndsBeforeExpiry) return nullptr;
    const bool goes_on =
        before.canary != nullptr && before.held.certificate->fingerprint() == fresh.fingerprint();
    if (goes_on) return before.canary;
    return std::make_shared<CertificateCanary>(std::move(old), settings.canary_percent, settings.canary_for,
                                               now_);
  }

  /// The certificate of a file that most clients get.
  static std::shared_ptr<const StoredCertificate> in_use(const Listed& one) {
    const bool held = one.canary != nullptr && one.canary->state() != CanaryState::kWentOn;
    return held ? one.canary->old() : one.held.certificate;
  }

  /// An old copy that comes back, from a backup or another machine, must not replace the renewed one.
  bool is_older(const Source& source, const StoredCertificate* live, const StoredCertificate& fresh,
                Diagnostics& found) const {
    if (live == nullptr || live->not_after() <= now_) return false;
    const bool older = fresh.not_before() < live->not_before() && fresh.not_after() <= live->not_after();
    if (!older) return false;
    found.push_back({Severity::kError, source.certificate,
                     "it is older than the one in use: that one is valid from " +
                         date_text(live->not_before()) + ", this one from " + date_text(fresh.not_before()) +
                         "; if you want it, give it another path",
                     "certificate", FileFault::kOlder});
    return true;
  }

  [[nodiscard]] Directory directory_before(const std::string& path) const {
    if (previous_ == nullptr) return nullptr;
    const auto found =
        std::ranges::find_if(previous_->directories_, [&](const auto& one) { return one->path() == path; });
    return found == previous_->directories_.end() ? nullptr : *found;
  }

  Directory load_directory(const std::string& path, const std::string& config_key) {
    const Directory before = directory_before(path);
    if (before != nullptr && changed_ != nullptr) {
      keys_.reset();
      return with(before, load_files(*before, certificates_concerned(path), config_key));
    }
    const auto files = list(path, config_key);
    if (!files) return nullptr;
    if (before == nullptr) {
      const auto empty = std::make_shared<const CertificateDirectory>(path);
      return with(empty, load_files(*empty, *files, config_key));
    }
    std::vector<Change> changes = load_files(*before, *files, config_key);
    before->for_each([&](const auto& held) {
      const std::string_view file = held->certificate->file();
      if (!std::ranges::binary_search(*files, file)) changes.push_back({std::string(file), nullptr});
    });
    return with(before, changes);
  }

  static Directory with(const Directory& before, const std::vector<Change>& changes) {
    return changes.empty() ? before : std::make_shared<const CertificateDirectory>(*before, changes);
  }

  /// The certificates of the directory that have a changed file or key, and those that were held back,
  /// because the reason for that may be gone.
  [[nodiscard]] std::vector<std::string> certificates_concerned(const std::string& directory) const {
    std::set<std::string> concerned;  // in order, so that every instance makes the same choice
    for (const std::string& path : previous_->held_back_) {
      if (is_in(directory, path)) concerned.insert(path);
    }
    for (const std::string& path : *changed_) {
      if (!is_in(directory, path)) continue;
      const std::string_view name = std::string_view(path).substr(directory.size() + 1);
      if (is_certificate_of_directory(name)) {
        concerned.insert(path);
      } else if (belongs_in_directory(name)) {
        const std::string stem = path.substr(0, path.size() - kSuffixBytes);
        concerned.insert({stem + ".crt", stem + ".pem"});
      }
    }
    return {concerned.begin(), concerned.end()};
  }

  static bool is_in(std::string_view directory, std::string_view path) {
    return path.starts_with(directory) && path.rfind('/') == directory.size();
  }

  /// The certificates' files, sorted; nothing when the directory cannot be read.
  std::optional<std::vector<std::string>> list(const std::string& directory, const std::string& config_key) {
    std::vector<std::string> files;
    keys_.emplace();
    std::error_code failure;
    for (fs::directory_iterator at(directory, failure), end; !failure && at != end; at.increment(failure)) {
      const std::string name = at->path().filename().string();
      if (!belongs_in_directory(name)) continue;
      (is_certificate_of_directory(name) ? files : *keys_).push_back(directory + '/' + name);
    }
    if (failure) {
      out_.push_back({Severity::kError, directory, "reading the directory: " + failure.message(), config_key,
                      FileFault::kUnreadable});
      return std::nullopt;
    }
    std::ranges::sort(files);
    std::ranges::sort(*keys_);
    return files;
  }

  /// A link without a target counts as a file, and is a fault.
  static bool exists(const std::string& file) {
    std::error_code failure;
    return fs::exists(fs::symlink_status(file, failure));
  }

  /// The changes to `before` that `files` bring.
  std::vector<Change> load_files(const CertificateDirectory& before, const std::vector<std::string>& files,
                                 const std::string& config_key) {
    std::vector<Change> changes;
    for (const std::string& file : files) {
      const auto held = before.find_file(file);
      if (held != nullptr && is_unchanged(source_of(file), *held)) continue;
      if (!exists(file)) {
        if (held != nullptr) changes.push_back({file, nullptr});
      } else if (auto one = load_of_directory(source_of(file), held.get(), config_key)) {
        if (held != nullptr) replaced_.push_back({before.path(), held, config_key});
        changes.push_back({file, std::make_shared<const HeldCertificate>(*std::move(one))});
      }
    }
    return changes;
  }

  [[nodiscard]] Source source_of(const std::string& file) const {
    const std::string key = file.substr(0, file.size() - kSuffixBytes) + ".key";
    const bool beside = keys_ ? std::ranges::binary_search(*keys_, key) : exists(key);
    return {file, beside ? key : file};
  }

  /// A fault in one file of many must not lose the others, or the certificate that the file held before.
  std::optional<HeldCertificate> load_of_directory(const Source& source, const HeldCertificate* before,
                                                   const std::string& config_key) {
    Diagnostics found;
    auto one = read_one(source, before == nullptr ? nullptr : before->certificate.get(), found);
    for (Diagnostic& each : found) {
      each.key = config_key;
      if (each.severity == Severity::kError) {
        each.severity = Severity::kLeftOut;
        each.what +=
            before != nullptr ? "; what the file held before stays in use" : "; the file is left out";
      }
      out_.push_back(std::move(each));
    }
    return one;
  }

  static bool is_unchanged(const Source& source, const HeldCertificate& before) {
    const auto stamp = stamp_file(source.certificate);
    if (!stamp || *stamp != before.certificate_stamp) return false;
    if (source.key == source.certificate) return before.key_stamp == FileStamp{};
    const auto key_stamp = stamp_file(source.key);
    return key_stamp && *key_stamp == before.key_stamp;
  }

  /// `live` is the certificate that clients get from the file now; nullptr if none.
  std::optional<HeldCertificate> read_one(const Source& source, const StoredCertificate* live,
                                          Diagnostics& found) {
    const bool one_file = source.key == source.certificate;
    const auto certificate = read(source.certificate, "certificate", found);
    const auto key = one_file ? std::nullopt : read(source.key, "private_key", found);
    if (!certificate || (!one_file && !key)) return std::nullopt;
    warn_of_open_key(one_file ? *certificate : *key, source.key, one_file ? "certificate" : "private_key",
                     found);
    auto checked = check_certificate({.certificate_file = source.certificate,
                                      .key_file = source.key,
                                      .certificate_pem = certificate->text(),
                                      .key_pem = one_file ? certificate->text() : key->text()},
                                     CertificatePurpose::kServer, now_, *chains_, found);
    if (checked == nullptr) return std::nullopt;
    if (is_older(source, live, *checked, found)) return std::nullopt;
    fresh_.push_back(checked);
    const std::uint64_t key_digest = digest_of_key(*checked);
    return HeldCertificate{std::move(checked), certificate->stamp, one_file ? FileStamp{} : key->stamp,
                           key_digest};
  }

  std::optional<SecretFile> read(const std::string& path, const char* config_key, Diagnostics& found) {
    auto file = read_secret_file(path);
    if (!file) {
      found.push_back({Severity::kError, path, file.error().what, config_key, FileFault::kUnreadable});
      return std::nullopt;
    }
    ++files_read_;
    return std::move(*file);
  }

  void load_staple(const std::string& file, Listed& one, Diagnostics& found) {
    std::shared_ptr<const StoredCertificate>& certificate = one.held.certificate;
    if (file.empty()) {
      if (certificate->staple() != nullptr) certificate = with_staple(*certificate, nullptr);
      one.staple_stamp = {};
      return;
    }
    const auto stamp = stamp_file(file);
    if (stamp && *stamp == one.staple_stamp) return;
    const auto staple = read(file, "ocsp_staple", found);
    if (!staple) return;
    certificate =
        with_staple(*certificate, read_ocsp_staple(staple->text(), file, *certificate, now_, found));
    one.staple_stamp = staple->stamp;
  }

  /// OpenSSL parses the certificates that are listed by hand at once: there are few, and the operator waits
  /// for the result.
  static void check_with_openssl(const HeldCertificate& held, Diagnostics& found) {
    const auto material = materialise(*held.certificate, nullptr);
    if (!material)
      found.push_back(
          {Severity::kError, std::string(held.certificate->file()), material.error().what, "certificate"});
  }

  static constexpr std::size_t kSuffixBytes = 4;  // ".pem", ".crt", ".key"

  const CertificateStore* previous_;
  const ChangedFiles* changed_;
  WallTime now_;
  Diagnostics& out_;
  std::shared_ptr<ChainPool> chains_;
  std::optional<std::vector<std::string>> keys_;  // those of the current directory, if it was listed
  std::unordered_map<std::string_view, const Listed*> listed_before_;  // by certificate file
  Fresh fresh_;
  std::vector<Replaced> replaced_;
  std::size_t files_read_ = 0;
};

namespace {

/// The key of `tls` that names `file`: a certificate, or the directory it is in.
std::string key_naming(const config::Tls& tls, std::string_view file) {
  for (std::size_t i = 0; i < tls.certificates.size(); ++i) {
    if (tls.certificates[i].certificate == file) return item_key("certificates", i) + ".certificate";
  }
  const std::string_view directory = file.substr(0, file.rfind('/'));
  const auto found = std::ranges::find(tls.certificate_dirs, directory);
  return item_key("certificate_dirs", static_cast<std::size_t>(found - tls.certificate_dirs.begin()));
}

std::string_view last_two_labels(std::string_view name) {
  const std::size_t last = name.rfind('.');
  if (last == std::string_view::npos || last == 0) return name;
  const std::size_t before = name.rfind('.', last - 1);
  return before == std::string_view::npos ? name : name.substr(before + 1);
}

bool related(const StoredCertificate& a, const StoredCertificate& b) {
  const auto names_a = a.names();
  const auto names_b = b.names();
  return std::ranges::any_of(names_a, [&](std::string_view one) {
    return std::ranges::any_of(
        names_b, [&](std::string_view other) { return last_two_labels(one) == last_two_labels(other); });
  });
}

}  // namespace

/// A thief of the one key can then use all the names, so unrelated names are worth a warning. Of two new
/// certificates the later one gets it.
void CertificateStore::warn_of_shared_keys(const Fresh& fresh, const config::Tls& tls,
                                           Diagnostics& out) const {
  std::unordered_set<std::string_view> later;
  for (const auto& one : fresh) later.insert(one->file());
  for (const auto& one : fresh) {
    const StoredCertificate* shares = nullptr;
    for_each_with_key(digest_of_key(*one), [&](const StoredCertificate& other) {
      if (shares == nullptr && !later.contains(other.file()) && !related(*one, other)) shares = &other;
    });
    later.erase(one->file());
    if (shares == nullptr) continue;
    out.push_back({Severity::kWarning, std::string(one->file()),
                   "it shares its key with the unrelated certificate " + std::string(shares->file()),
                   key_naming(tls, one->file())});
  }
}

template <class See>
void CertificateStore::for_each_with_key(std::uint64_t key_digest, See&& see) const {
  for (const Listed& one : listed_) {
    if (one.held.key_digest == key_digest) see(*one.held.certificate);
  }
  for (const auto& directory : directories_) directory->for_each_with_key(key_digest, see);
}

std::shared_ptr<const CertificateStore> CertificateStore::load(const config::Tls& tls,
                                                               const CertificateStore* previous,
                                                               const ChangedFiles* changed, WallTime now,
                                                               Diagnostics& out) {
  Diagnostics found;
  Loader loader(previous, changed, now, found);
  Contents contents = loader.load(tls);
  const auto is_empty = [](const auto& directory) { return directory->size() == 0; };
  const bool nothing = contents.listed.empty() && std::ranges::all_of(contents.directories, is_empty);
  if (nothing && !has_errors(found)) {
    const bool listed = tls.certificate_dirs.empty();
    found.push_back({Severity::kError, listed ? "" : tls.certificate_dirs.front(),
                     "no certificate can be used: give one under `certificates`",
                     listed ? "" : item_key("certificate_dirs", 0)});
  }
  std::shared_ptr<CertificateStore> store;
  if (!has_errors(found)) {
    store.reset(new CertificateStore(tls, std::move(contents)));
    store->files_read_ = loader.files_read();
    loader.keep_names(*store);
    store->warn_of_shared_keys(loader.fresh(), tls, found);
  }
  out.insert(out.end(), found.begin(), found.end());
  return store;
}

}  // namespace headgate
