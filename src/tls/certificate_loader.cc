#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <unordered_map>

#include "tls/asn1_time.h"
#include "tls/certificate_material.h"
#include "tls/certificate_store.h"
#include "tls/ocsp_staple.h"

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
  Loader(const CertificateStore* previous, WallTime now, Diagnostics& out)
      : previous_(previous), now_(now), out_(out) {
    if (previous_ == nullptr) return;
    for (const Entry& entry : previous_->entries_) before_.emplace(entry.certificate->file(), &entry);
  }

  std::vector<Entry> load(const config::Tls& tls) {
    for (std::size_t i = 0; i < tls.certificates.size(); ++i) {
      load_listed(tls.certificates[i], item_key("certificates", i));
    }
    for (std::size_t i = 0; i < tls.certificate_dirs.size(); ++i) {
      load_directory(tls.certificate_dirs[i], item_key("certificate_dirs", i));
    }
    keep_names_of_directories();
    return std::move(entries_);
  }
  [[nodiscard]] std::size_t files_read() const { return files_read_; }

 private:
  /// A file of a directory that holds something else than before.
  struct Changed {
    std::size_t entry;
    const Entry* before;
    std::string config_key;
  };
  /// Where one certificate is. `key` equals `certificate` when it is in the same file.
  struct Source {
    std::string certificate, key, staple;
  };

  void load_listed(const config::Certificate& settings, const std::string& config_key) {
    const Source source{settings.certificate,
                        settings.private_key.empty() ? settings.certificate : settings.private_key,
                        settings.ocsp_staple};
    Diagnostics found;
    auto entry = load_one(source, found);
    if (entry && !unchanged_) check_with_openssl(*entry, found);
    if (entry && !has_errors(found)) {
      entry->canary = canary_for(settings, *entry);
      entries_.push_back(std::move(*entry));
    }
    add_below(out_, std::move(found), config_key);
  }

  void load_directory(const std::string& directory, const std::string& config_key) {
    std::set<std::string> names;  // in order, so that every instance chooses alike
    std::error_code failure;
    for (fs::directory_iterator at(directory, failure), end; !failure && at != end; at.increment(failure)) {
      names.insert(at->path().filename().string());
    }
    if (failure) {
      out_.push_back({Severity::kError, directory, "reading the directory: " + failure.message(), config_key,
                      FileFault::kUnreadable});
      return;
    }
    for (const std::string& name : names) {
      if (name.starts_with('.') || !(name.ends_with(".pem") || name.ends_with(".crt"))) continue;
      const std::string file = directory + "/" + name;
      const std::string key_name = name.substr(0, name.size() - 4) + ".key";
      load_of_directory({file, names.contains(key_name) ? directory + "/" + key_name : file, ""}, config_key);
    }
  }

  /// The comparison that the certificate of `entry` is in from now on; nullptr: all get it.
  std::shared_ptr<CertificateCanary> canary_for(const config::Certificate& settings,
                                                const Entry& entry) const {
    const Entry* before = find_before(settings.certificate);
    if (before == nullptr || settings.canary_percent == 0) return nullptr;
    const StoredCertificate& fresh = *entry.certificate;
    auto old = in_use(*before);
    if (fresh.fingerprint() == old->fingerprint()) return nullptr;
    const bool goes_on =
        before->canary != nullptr && before->certificate->fingerprint() == fresh.fingerprint();
    if (old->not_after() - now_ <= kCanaryEndsBeforeExpiry) return nullptr;
    if (goes_on) return before->canary;
    return std::make_shared<CertificateCanary>(std::move(old), settings.canary_percent, settings.canary_for,
                                               now_);
  }

  const Entry* find_before(const std::string& file) const {
    const auto found = before_.find(file);
    return found == before_.end() ? nullptr : found->second;
  }

  /// What most clients get from a file.
  static std::shared_ptr<const StoredCertificate> in_use(const Entry& entry) {
    const bool held = entry.canary != nullptr && entry.canary->state() != CanaryState::kWentOn;
    return held ? entry.canary->old() : entry.certificate;
  }

  /// An old copy that comes back, from a backup or another machine, must not replace the renewed one.
  void check_not_older(const Source& source, const StoredCertificate& fresh, Diagnostics& found) const {
    const Entry* before = find_before(source.certificate);
    if (before == nullptr) return;
    const auto live = in_use(*before);
    const bool older = fresh.not_before() < live->not_before() && fresh.not_after() <= live->not_after();
    if (!older || live->not_after() <= now_) return;
    found.push_back({Severity::kError, source.certificate,
                     "it is older than the one in use: that one is valid from " +
                         date_text(live->not_before()) + ", this one from " + date_text(fresh.not_before()) +
                         "; name it by another path if that is meant",
                     "certificate", FileFault::kOlder});
  }

  /// One file among many: a fault in it is no reason to lose the others, or what it held before.
  void load_of_directory(const Source& source, const std::string& config_key) {
    Diagnostics found;
    auto entry = load_one(source, found);
    const auto old = before_.find(source.certificate);
    const bool keep_old = !entry && old != before_.end();
    for (Diagnostic& one : found) {
      one.key = config_key;
      if (one.severity == Severity::kError) {
        one.severity = Severity::kLeftOut;
        one.what += keep_old ? "; what the file held before stays in use" : "; the file is left out";
      }
      out_.push_back(std::move(one));
    }
    if (keep_old) entry = *old->second;
    if (!entry) return;
    entry->canary = nullptr;
    if (old != before_.end() && !unchanged_) changed_.push_back({entries_.size(), old->second, config_key});
    entries_.push_back(std::move(*entry));
  }

  /// A changed file of a directory that would take a name away keeps what it held before. One that is taken
  /// out of the directory is meant to be gone.
  void keep_names_of_directories() {
    for (const Changed& one : changed_) {
      const auto old_names = one.before->certificate->names();
      const auto lost =
          std::ranges::find_if(old_names, [&](std::string_view name) { return !is_held(name, one); });
      if (lost == old_names.end()) continue;
      out_.push_back({Severity::kLeftOut, std::string(one.before->certificate->file()),
                      "it no longer covers " + std::string(*lost) +
                          ", which is served now; what the file held before stays in use",
                      one.config_key});
      entries_[one.entry] = *one.before;
    }
  }

  [[nodiscard]] bool is_held(std::string_view name, const Changed& first) const {
    if (entries_[first.entry].certificate->holds_name(name)) return true;
    return std::ranges::any_of(entries_, [&](const Entry& one) { return one.certificate->holds_name(name); });
  }

  std::optional<Entry> load_one(const Source& source, Diagnostics& found) {
    unchanged_ = false;
    auto entry = take_unchanged(source);
    unchanged_ = entry.has_value();
    if (!entry) entry = read_one(source, found);
    if (entry) load_staple(source, *entry, found);
    return entry;
  }

  std::optional<Entry> take_unchanged(const Source& source) const {
    const auto old = before_.find(source.certificate);
    if (old == before_.end()) return std::nullopt;
    const Entry& entry = *old->second;
    const auto stamp = stamp_file(source.certificate);
    if (!stamp || *stamp != entry.certificate_stamp) return std::nullopt;
    FileStamp key_stamp;
    if (source.key != source.certificate) {
      const auto found = stamp_file(source.key);
      if (!found) return std::nullopt;
      key_stamp = *found;
    }
    return key_stamp == entry.key_stamp ? std::optional<Entry>(entry) : std::nullopt;
  }

  std::optional<Entry> read_one(const Source& source, Diagnostics& found) {
    const bool one_file = source.key == source.certificate;
    const auto certificate = read(source.certificate, "certificate", found);
    const auto key = one_file ? std::nullopt : read(source.key, "private_key", found);
    if (!certificate || (!one_file && !key)) return std::nullopt;
    auto checked = check_certificate({.certificate_file = source.certificate,
                                      .key_file = source.key,
                                      .certificate_pem = certificate->text(),
                                      .key_pem = one_file ? certificate->text() : key->text()},
                                     CertificatePurpose::kServer, now_, chains_, found);
    if (checked == nullptr) return std::nullopt;
    const std::size_t faults = found.size();
    check_not_older(source, *checked, found);
    if (found.size() > faults) return std::nullopt;
    return Entry{std::move(checked), certificate->stamp, one_file ? FileStamp{} : key->stamp, {}, nullptr};
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

  void load_staple(const Source& source, Entry& entry, Diagnostics& found) {
    if (source.staple.empty()) {
      if (entry.certificate->staple() != nullptr)
        entry.certificate = with_staple(*entry.certificate, nullptr);
      entry.staple_stamp = {};
      return;
    }
    const auto stamp = stamp_file(source.staple);
    if (unchanged_ && stamp && *stamp == entry.staple_stamp) return;
    const auto file = read(source.staple, "ocsp_staple", found);
    if (!file) return;
    entry.certificate = with_staple(
        *entry.certificate, read_ocsp_staple(file->text(), source.staple, *entry.certificate, now_, found));
    entry.staple_stamp = file->stamp;
  }

  /// Those listed by hand are parsed by OpenSSL as well, at once: there are few, and someone waits for the
  /// verdict.
  static void check_with_openssl(const Entry& entry, Diagnostics& found) {
    const auto material = materialise(*entry.certificate, nullptr);
    if (!material)
      found.push_back(
          {Severity::kError, std::string(entry.certificate->file()), material.error().what, "certificate"});
  }

  const CertificateStore* previous_;
  WallTime now_;
  Diagnostics& out_;
  std::unordered_map<std::string_view, const Entry*> before_;  // by certificate file
  ChainPool chains_;
  std::vector<Entry> entries_;
  std::vector<Changed> changed_;
  std::size_t files_read_ = 0;
  bool unchanged_ = false;  // whether the certificate at hand was taken from the store before
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

/// Whoever steals one key then speaks for all the names: worth a word when they have nothing to do with each
/// other.
void warn_of_shared_keys(const CertificateStore& store, const config::Tls& tls, Diagnostics& out) {
  std::unordered_map<std::string_view, const StoredCertificate*> by_key;
  for (std::size_t i = 0; i < store.size(); ++i) {
    const auto fields = read_certificate(store[i].leaf_der());
    if (!fields) continue;
    const std::string_view key{reinterpret_cast<const char*>(fields->public_key.data()),
                               fields->public_key.size()};
    const auto [place, added] = by_key.try_emplace(key, &store[i]);
    if (added || related(*place->second, store[i])) continue;
    out.push_back({Severity::kWarning, std::string(store[i].file()),
                   "it shares its key with the unrelated certificate " + std::string(place->second->file()),
                   key_naming(tls, store[i].file())});
  }
}

}  // namespace

std::shared_ptr<const CertificateStore> CertificateStore::load(const config::Tls& tls,
                                                               const CertificateStore* previous, WallTime now,
                                                               Diagnostics& out) {
  Diagnostics found;
  Loader loader(previous, now, found);
  std::vector<Entry> entries = loader.load(tls);
  if (entries.empty() && !has_errors(found)) {
    const bool listed = tls.certificate_dirs.empty();
    found.push_back({Severity::kError, listed ? "" : tls.certificate_dirs.front(),
                     "there is no usable certificate: name one under `certificates`",
                     listed ? "" : item_key("certificate_dirs", 0)});
  }
  std::shared_ptr<CertificateStore> store;
  if (!has_errors(found)) {
    store.reset(new CertificateStore(tls, std::move(entries)));
    store->files_read_ = loader.files_read();
    if (store->files_read_ > 0) warn_of_shared_keys(*store, tls, found);
  }
  out.insert(out.end(), found.begin(), found.end());
  return store;
}

}  // namespace headgate
