#include "tls/handshake/session_tickets.h"

#include <algorithm>
#include <optional>

#include <openssl/rand.h>

#include "base/hex.h"
#include "tls/handshake/secret_file.h"
#include "tls/library/library_context.h"
#include "tls/library/openssl_call.h"

namespace headgate {
namespace {

constexpr std::string_view kPrefix = "headgate-ticket-secret-1:";
constexpr std::string_view kDerivationLabel = "headgate session ticket key 1";
constexpr std::size_t kMaxSecrets = 8;

using SecretArray = std::array<std::byte, TicketSecret::kSizeBytes>;

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

std::optional<TicketSecret> parse_hex(std::string_view text) {
  SecretArray bytes{};
  if (text.size() != 2 * bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto high = hex_digit(text[2 * i]);
    const auto low = hex_digit(text[2 * i + 1]);
    if (!high || !low) return std::nullopt;
    bytes[i] = static_cast<std::byte>(*high << 4 | *low);
  }
  TicketSecret secret(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return secret;
}

/// It fails where openssl.cnf leaves OpenSSL without a random generator.
Result<TicketSecret> random_secret() {
  SecretArray bytes{};
  auto* into = reinterpret_cast<unsigned char*>(bytes.data());
  const auto made =
      call_openssl(ErrorKind::kSystem, LibraryContext::version() + " could not make a random secret",
                   [&] { return RAND_priv_bytes(into, static_cast<int>(bytes.size())); });
  if (!made) return tl::unexpected(made.error());
  TicketSecret secret(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return secret;
}

std::string_view trimmed(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
    line.remove_suffix(1);
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  return line;
}

Result<std::vector<TicketSecret>> read_secrets(const std::string& path) {
  const auto file = read_secret_file(path);
  if (!file) return fail(file.error().kind, file.error().what);
  if (!is_private(*file)) {
    return fail(ErrorKind::kInvalid, "the ticket secret is open to others than its owner: run `chmod 600 " +
                                         path +
                                         "`; of root's file a group may be the reader (mode 0440 or 0640; "
                                         "for a Kubernetes secret `defaultMode: 0440`)");
  }
  return parse_ticket_secrets(file->text());
}

WallTime used_since(const TicketSecret& secret, const TicketSecrets* previous, WallTime now) {
  if (previous == nullptr) return now;
  const auto found = std::ranges::find(previous->secrets, secret, &TicketSecrets::Accepted::secret);
  return found == previous->secrets.end() ? now : found->used_since;
}

/// The old secrets that are still accepted in addition to the new ones: for one lifetime of the tickets made
/// with them.
void keep_old(const TicketSecrets& previous, WallTime now, TicketSecrets& secrets) {
  for (const TicketSecrets::Accepted& old : previous.secrets) {
    const bool still_there = std::ranges::any_of(
        secrets.secrets, [&](const TicketSecrets::Accepted& one) { return one.secret == old.secret; });
    const WallTime until = std::min(old.accepted_until, now + secrets.lifetime);
    if (!still_there && until > now) secrets.secrets.push_back({old.secret, until, old.used_since});
  }
}

std::int64_t slot_at(WallTime now, std::chrono::seconds rotate_every) {
  const auto since_epoch = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
  return since_epoch / rotate_every;
}

std::array<unsigned char, 8> big_endian(std::int64_t number) {
  std::array<unsigned char, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<unsigned char>(static_cast<std::uint64_t>(number) >> (56 - 8 * i));
  }
  return bytes;
}

}  // namespace

TicketSecret::TicketSecret(std::span<const std::byte, kSizeBytes> bytes) {
  std::ranges::copy(bytes, bytes_.begin());
}

TicketSecret::~TicketSecret() {
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

Result<std::shared_ptr<const TicketSecrets>> TicketSecrets::load(const config::Resumption& settings,
                                                                 const TicketSecrets* previous,
                                                                 WallTime now) {
  auto secrets = std::make_shared<TicketSecrets>();
  secrets->rotate_every = std::max(settings.rotate_every, std::chrono::seconds(1));
  secrets->lifetime = settings.lifetime;
  secrets->file = settings.secret_file;
  if (!settings.tickets) return secrets;
  const bool same_source = previous != nullptr && previous->file == settings.secret_file;
  if (!settings.secret_file.empty()) {
    auto read = read_secrets(settings.secret_file);
    if (!read) return tl::unexpected(read.error());
    for (const TicketSecret& one : *read)
      secrets->secrets.push_back({one, WallTime::max(), used_since(one, previous, now)});
    if (same_source) keep_old(*previous, now, *secrets);
  } else if (same_source && !previous->secrets.empty()) {
    secrets->secrets = previous->secrets;
  } else {
    auto secret = random_secret();
    if (!secret) return tl::unexpected(secret.error());
    secrets->secrets.push_back({*std::move(secret), WallTime::max(), now});
  }
  return secrets;
}

Result<std::vector<TicketSecret>> parse_ticket_secrets(std::string_view text) {
  std::vector<TicketSecret> secrets;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, newline));
    text = newline == std::string_view::npos ? std::string_view() : text.substr(newline + 1);
    ++number;
    if (line.empty() || line.front() == '#') continue;
    auto secret = line.starts_with(kPrefix) ? parse_hex(line.substr(kPrefix.size())) : std::nullopt;
    if (!secret) {
      return fail(ErrorKind::kMalformed,
                  "line " + std::to_string(number) +
                      " is not a ticket secret: make a file with `headgate ticket-key new`");
    }
    if (secrets.size() == kMaxSecrets) {
      return fail(ErrorKind::kMalformed,
                  "more than " + std::to_string(kMaxSecrets) + " ticket secrets: remove old ones");
    }
    secrets.push_back(std::move(*secret));
  }
  if (secrets.empty()) {
    return fail(ErrorKind::kMalformed,
                "there is no ticket secret in it: make a file with `headgate ticket-key new`");
  }
  return secrets;
}

Result<std::string> new_secret_file() {
  const auto secret = random_secret();
  if (!secret) return tl::unexpected(secret.error());
  std::string text =
      "# Headgate session ticket secret. Keep it as private as a private key (mode 0600): its holder can "
      "read\n"
      "# resumed sessions. Instances that hold the same file resume each other's sessions. The first secret "
      "makes new\n"
      "# tickets, further lines are only accepted.\n";
  return text.append(kPrefix).append(hex_of(secret->bytes())).append("\n");
}

TicketKeys::TicketKeys(const LibraryContext& library, std::shared_ptr<const TicketSecrets> secrets)
    : library_(library), secrets_(std::move(secrets)) {}

TicketKeys::~TicketKeys() {
  wipe();
}

void TicketKeys::wipe() {
  if (!keys_.empty()) OPENSSL_cleanse(keys_.data(), keys_.size() * sizeof(TicketKey));
  keys_.clear();
}

bool TicketKeys::derive(const TicketSecret& secret, std::int64_t slot) {
  const auto slot_bytes = big_endian(slot);
  std::array<unsigned char, kDerivationLabel.size() + slot_bytes.size()> info{};
  std::ranges::copy(slot_bytes, std::ranges::copy(kDerivationLabel, info.begin()).out);

  std::array<unsigned char, 16 + 32 + 32> derived{};
  if (!library_.hkdf_sha256(secret.bytes(), info, derived)) return false;
  TicketKey& made = keys_.emplace_back();
  std::copy_n(derived.begin(), 16, made.name.begin());
  std::copy_n(derived.begin() + 16, 32, made.aes.begin());
  std::copy_n(derived.begin() + 48, 32, made.mac.begin());
  made.slot = slot;
  OPENSSL_cleanse(derived.data(), derived.size());
  return true;
}

void TicketKeys::refresh(WallTime now) {
  if (now >= good_from_ && now < good_until_) return;
  wipe();
  const std::int64_t current = slot_at(now, secrets_->rotate_every);
  // A ticket made at the end of a slot lives on through as many slots as its lifetime touches.
  const auto past =
      (secrets_->lifetime + secrets_->rotate_every - std::chrono::seconds(1)) / secrets_->rotate_every;
  const std::int64_t back = std::clamp<std::int64_t>(past, 1, config::kMaxPastTicketKeys);
  keys_.reserve(secrets_->secrets.size() * static_cast<std::size_t>(back + 2));
  good_from_ = WallTime(secrets_->rotate_every * current);
  good_until_ = good_from_ + secrets_->rotate_every;
  bool all_derived = true;
  for (const TicketSecrets::Accepted& accepted : secrets_->secrets) {
    if (accepted.accepted_until <= now) continue;
    good_until_ = std::min(good_until_, accepted.accepted_until);
    all_derived = all_derived && derive(accepted.secret, current) && derive(accepted.secret, current + 1);
    for (std::int64_t i = 1; i <= back; ++i)
      all_derived = all_derived && derive(accepted.secret, current - i);
  }
  if (all_derived) return;
  // OpenSSL lacks memory: a slot begins with all of its keys or with none, and the next caller tries again.
  wipe();
  good_until_ = WallTime::min();
}

const TicketKey* TicketKeys::issuing(WallTime now) {
  refresh(now);
  return keys_.empty() ? nullptr : &keys_.front();
}

const TicketKey* TicketKeys::find(std::span<const unsigned char, 16> name, WallTime now) {
  refresh(now);
  const auto found =
      std::ranges::find_if(keys_, [&](const TicketKey& key) { return std::ranges::equal(key.name, name); });
  return found == keys_.end() ? nullptr : &*found;
}

}  // namespace headgate
