#include "tls/handshake/admin_token.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "tls/handshake/secret_file.h"

namespace headgate {

std::shared_ptr<const AdminToken> AdminToken::load(const std::string& path, Diagnostics& out) {
  const auto refuse = [&](const std::string& what) {
    out.push_back({Severity::kError, path, what, "admin.token_file"});
    return nullptr;
  };
  const auto file = read_secret_file(path, kMaxFileBytes);
  if (!file) return refuse(file.error().what);
  std::string_view token = file->text();
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.remove_suffix(1);
  if (token.find_first_of(" \t\r\n") != token.npos)
    return refuse("holds more than one word: a token stands alone in its file, without blanks");
  if (token.size() < kMinBytes)
    return refuse("the token is shorter than " + std::to_string(kMinBytes) +
                  " bytes; make one with `openssl rand -hex 32`");
  if (!is_private(*file)) {
    out.push_back({Severity::kWarning, path,
                   "other users of the machine can read or replace the token: run `chmod o= " + path + "`",
                   "admin.token_file"});
  }
  return std::make_shared<const AdminToken>(token);
}

AdminToken::AdminToken(std::string_view token) : digest_(digest_of(token)) {}

bool AdminToken::is(std::string_view text) const {
  const Digest digest = digest_of(text);
  return CRYPTO_memcmp(digest.data(), digest_.data(), digest.size()) == 0;
}

AdminToken::Digest AdminToken::digest_of(std::string_view text) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

}  // namespace headgate
