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
#include "tls/library/asn1_time.h"

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
  Loader(const CertificateStore* previous, const ChangedFiles* changed, WallTime now, int warn_before_percent,
         Diagnostics& out)
      : previous_(previous),
        changed_(changed),
        now_(now),
        warn_before_percent_(warn_before_percent),
        out_(out),
        chains_(previous == nullptr ? std::make_shared<ChainPool>() : previous->chains_) {
    chains_->drop_unused();
    if (previous_ == nullptr) return;
    for (const Listed& one : previous_->listed_) listed_before_.emplace(one.held.certificate->file(), &one);
  }

  Contents load(const config::Tls& tls) {
    Contents contents;
    for (std::size_t i = 0; i < tls.certificates.size(); ++i) {
      auto one = load_listed(tls.certificates[i], i, item_key("certificates", i));
      if (one) contents.listed.push_back(std::move(*one));
    }
    in_directory_ = true;
    for (std::size_t i = 0; i < tls.certificate_dirs.size(); ++i) {
      auto one = load_directory(tls.certificate_dirs[i], item_key("certificate_dirs", i));
      if (one) contents.directories.push_back(std::move(one));
    }
    contents.chains = std::move(chains_);
    contents.refused = std::move(refused_);
    return contents;
  }
  [[nodiscard]] std::size_t files_read() const { return files_read_; }
  /// The certificates that were not taken from the store before, in order.
  [[nodiscard]] const Fresh& fresh() const { return fresh_; }

  /// If a changed file would take a name away from `store`, its certificate from before stays. A file that
  /// was removed from its directory is meant to be gone, and so is a name when the list itself was changed.
  void keep_names(CertificateStore& store, const config::Tls& tls) {
    if (!lists_the_files_of_before(tls)) replaced_listed_.clear();
    const auto keep = [&](const auto& one) { return keeps_names_of(one, store); };
    // What stays takes names away that its successor would have brought, so all others are looked at again.
    while (std::erase_if(replaced_listed_, keep) + std::erase_if(replaced_, keep) > 0) {
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

  /// A listed file with new contents, by its place in the list.
  struct ReplacedListed {
    std::size_t index;
    const Listed* before;
    std::string config_key;
  };

  /// The first name that the certificate before has and `store` does not cover. A name of a valid certificate
  /// is lost to an expired one, too.
  [[nodiscard]] std::optional<std::string> name_lost(const StoredCertificate& before,
                                                     const CertificateStore& store) const {
    const auto names = before.names();
    const bool was_served = before.is_valid_at(now_);
    const auto lost = std::ranges::find_if(names, [&](std::string_view name) {
      return was_served ? !store.serves_name(name, now_) : !store.covers_name(name);
    });
    return lost == names.end() ? std::nullopt : std::optional<std::string>(*lost);
  }

  /// Notes that the new contents of `file` are refused, because they lack `name`.
  void refuse_for_name(const std::string& file, const std::string& name, Severity severity,
                       const std::string& config_key, CertificateStore& store) {
    const std::string why = "it no longer covers " + name + ", which is served now";
    out_.push_back({severity, file, why + "; what the file held before stays in use", config_key});
    store.refused_[file] = {.why = why, .kept = true, .lost_name = true};
    std::erase_if(fresh_, [&](const auto& each) { return each->file() == file; });
  }

  /// Returns whether the certificate from before stays.
  bool keeps_names_of(const ReplacedListed& one, CertificateStore& store) {
    const auto before = in_use(*one.before);
    const auto lost = name_lost(*before, store);
    if (!lost) return false;
    refuse_for_name(std::string(before->file()), *lost, Severity::kKept, one.config_key, store);
    store.listed_[one.index] = *one.before;
    store.build_index();
    store.find_defaults();
    return true;
  }

  bool keeps_names_of(const Replaced& one, CertificateStore& store) {
    const auto lost = name_lost(*one.before->certificate, store);
    if (!lost) return false;
    const std::string file(one.before->certificate->file());
    refuse_for_name(file, *lost, Severity::kLeftOut, one.config_key, store);
    auto& directory = *std::ranges::find(store.directories_, one.directory,
                                         [](const Directory& each) { return each->path(); });
    directory = with(directory, {{file, one.before}});
    store.find_defaults();
    return true;
  }

  /// Whether the list names the same files, in the same order, as that of the store before.
  [[nodiscard]] bool lists_the_files_of_before(const config::Tls& tls) const {
    return previous_ != nullptr &&
           std::ranges::equal(tls.certificates, previous_->listed_, {}, &config::Certificate::certificate,
                              [](const Listed& one) { return one.held.certificate->file(); });
  }

  std::optional<Listed> load_listed(const config::Certificate& settings, std::size_t index,
                                    const std::string& config_key) {
    const Source source{settings.certificate,
                        settings.private_key.empty() ? settings.certificate : settings.private_key};
    Diagnostics found;
    const auto at = listed_before_.find(source.certificate);
    const Listed* before = at == listed_before_.end() ? nullptr : at->second;
    std::optional<Listed> one = read_listed(source, before, found);
    const bool renewed = one && before != nullptr &&
                         one->held.certificate->fingerprint() != before->held.certificate->fingerprint();
    if (one) load_staple(settings.ocsp_staple, *one, found, renewed);
    if (!one || has_errors(found)) {
      if (before != nullptr) refuse(source.certificate, found, Kept::kYes);
      if (before != nullptr) keep_before(found);
      one = before != nullptr ? std::optional<Listed>(*before) : std::nullopt;
    } else {
      one->canary = canary_for(settings, *one);
      const bool replaced = before != nullptr && one->held.certificate != before->held.certificate;
      if (replaced) replaced_listed_.push_back({index, before, config_key + ".certificate"});
    }
    add_below(out_, std::move(found), config_key);
    return one;
  }

  /// The certificate of before where its files have not changed; nullopt where they cannot be used.
  std::optional<Listed> read_listed(const Source& source, const Listed* before, Diagnostics& found) {
    if (before != nullptr && is_unchanged(source, before->held)) return *before;
    const auto live = before == nullptr ? nullptr : in_use(*before);
    auto held = read_one(source, live.get(), found);
    if (!held) return std::nullopt;
    check_with_openssl(*held, found);
    return Listed{.held = std::move(*held)};
  }

  enum class Kept : bool { kNo, kYes };
  /// Notes that `file` is refused for the first error of `found`.
  void refuse(const std::string& file, const Diagnostics& found, Kept kept) {
    const auto error = std::ranges::find(found, Severity::kError, &Diagnostic::severity);
    if (error == found.end()) return;
    refused_[file] = {.why = error->what, .kept = kept == Kept::kYes, .usable_from = error->usable_from};
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
    if (before != nullptr && changed_ != nullptr && is_directory(path)) {
      keys_.reset();
      carry_refused(path);
      return with(before, load_files(*before, certificates_concerned(path), config_key));
    }
    Diagnostics found;
    const auto files = list(path, config_key, found);
    const bool can_stay = before != nullptr && previous_->is_whole_;
    if (!files && can_stay) {
      keep_before(found);
      carry_refused(path);
    }
    out_.insert(out_.end(), found.begin(), found.end());
    if (!files) return can_stay ? before : nullptr;
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
    for (const auto& [path, file] : previous_->refused_) {
      if (file.lost_name && is_in(directory, path)) concerned.insert(path);
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

  /// The files of the directory that are not looked at stay refused.
  void carry_refused(const std::string& directory) {
    for (const auto& [path, file] : previous_->refused_) {
      if (is_in(directory, path)) refused_.emplace(path, file);
    }
  }

  static bool is_in(std::string_view directory, std::string_view path) {
    return path.starts_with(directory) && path.rfind('/') == directory.size();
  }

  /// The certificates' files, sorted; nothing when the directory cannot be read.
  std::optional<std::vector<std::string>> list(const std::string& directory, const std::string& config_key,
                                               Diagnostics& found) {
    std::vector<std::string> files;
    keys_.emplace();
    std::error_code failure;
    for (fs::directory_iterator at(directory, failure), end; !failure && at != end; at.increment(failure)) {
      const std::string name = at->path().filename().string();
      if (!belongs_in_directory(name)) continue;
      (is_certificate_of_directory(name) ? files : *keys_).push_back(directory + '/' + name);
    }
    if (failure) {
      found.push_back({Severity::kError, directory, "reading the directory: " + failure.message(), config_key,
                       FileFault::kUnreadable});
      return std::nullopt;
    }
    std::ranges::sort(files);
    std::ranges::sort(*keys_);
    return files;
  }

  static bool is_directory(const std::string& path) {
    std::error_code failure;
    return fs::is_directory(path, failure);
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
      refused_.erase(file);
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
    if (!one && before == nullptr && is_of_authorities(source)) return std::nullopt;
    refuse(source.certificate, found, before != nullptr ? Kept::kYes : Kept::kNo);
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

  static bool is_of_authorities(const Source& source) {
    if (source.key != source.certificate) return false;
    const auto file = read_secret_file(source.certificate, kMaxCertificateFileBytes);
    return file && holds_authorities_alone(file->text());
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
                                      .key_pem = one_file ? certificate->text() : key->text(),
                                      .in_directory = in_directory_,
                                      .warn_before_percent = warn_before_percent_},
                                     CertificatePurpose::kServer, now_, *chains_, found);
    if (checked == nullptr) return std::nullopt;
    if (is_older(source, live, *checked, found)) return std::nullopt;
    fresh_.push_back(checked);
    const std::uint64_t key_digest = digest_of_key(*checked);
    return HeldCertificate{std::move(checked), certificate->stamp, one_file ? FileStamp{} : key->stamp,
                           key_digest};
  }

  std::optional<SecretFile> read(const std::string& path, const char* config_key, Diagnostics& found) {
    auto file = read_secret_file(path, kMaxCertificateFileBytes);
    if (!file) {
      found.push_back({Severity::kError, path, file.error().what, config_key, FileFault::kUnreadable});
      return std::nullopt;
    }
    ++files_read_;
    return std::move(*file);
  }

  /// Staples come later than renewals: a staple that a `renewed` certificate cannot use is left out, and does
  /// not stop that certificate.
  void load_staple(const std::string& file, Listed& one, Diagnostics& found, bool renewed) {
    Diagnostics of_staple;
    load_staple(file, one, of_staple);
    for (Diagnostic& each : of_staple) {
      if (!renewed || each.severity != Severity::kError) continue;
      each.severity = Severity::kLeftOut;
      each.what += "; it is not sent";
    }
    found.insert(found.end(), of_staple.begin(), of_staple.end());
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
    Diagnostics of_staple;
    auto fresh = read_ocsp_staple(staple->text(), file, *certificate, now_, of_staple);
    if (!has_errors(of_staple)) {
      certificate = with_staple(*certificate, std::move(fresh));
      one.staple_stamp = staple->stamp;
    }
    found.insert(found.end(), of_staple.begin(), of_staple.end());
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
  int warn_before_percent_;
  bool in_directory_ = false;  // the files at hand are of a directory
  Diagnostics& out_;
  std::shared_ptr<ChainPool> chains_;
  std::optional<std::vector<std::string>> keys_;  // those of the current directory, if it was listed
  std::unordered_map<std::string_view, const Listed*> listed_before_;  // by certificate file
  Fresh fresh_;
  std::vector<Replaced> replaced_;
  std::vector<ReplacedListed> replaced_listed_;
  RefusedFiles refused_;
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
  Loader loader(previous, changed, now, tls.warn_before_percent, found);
  Contents contents = loader.load(tls);
  const auto is_empty = [](const auto& directory) { return directory->size() == 0; };
  const bool wanted = !tls.certificates.empty() || !tls.certificate_dirs.empty();
  const bool nothing =
      wanted && contents.listed.empty() && std::ranges::all_of(contents.directories, is_empty);
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
    loader.keep_names(*store, tls);
    store->warn_of_shared_keys(loader.fresh(), tls, found);
  }
  out.insert(out.end(), found.begin(), found.end());
  return store;
}

}  // namespace headgate
