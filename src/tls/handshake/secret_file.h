#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret_bytes.h"
#include "tls/handshake/diagnostic.h"

namespace headgate {

/// Identifies the version of a file that was read.
struct FileStamp {
  std::uint64_t device = 0, inode = 0, size_bytes = 0;
  std::int64_t modified_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

/// The stamp of the file at `path`. Errors: kSystem, naming the path.
[[nodiscard]] Result<FileStamp> stamp_file(const std::string& path);

/// The contents of a file that may hold a key: the memory is wiped when it is freed.
struct SecretFile {
  SecretBytes bytes;
  FileStamp stamp;
  mode_t mode = 0;  ///< Permissions.
  uid_t owner = 0;
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

/// Revocation lists are smaller than this; a larger file was named by mistake.
inline constexpr std::size_t kMaxSecretFileBytes = 256 * 1024 * 1024;

/// So are certificates and keys.
inline constexpr std::size_t kMaxCertificateFileBytes = 4 * 1024 * 1024;

/// Reads the whole file. Errors: kSystem, with the system's text ("Permission denied"), without the path;
/// kInvalid: not a regular file, or too large.
[[nodiscard]] Result<SecretFile> read_secret_file(const std::string& path,
                                                  std::size_t max_bytes = kMaxSecretFileBytes);

/// Whether the permissions of `file` keep a secret: of root's file a group may be the reader, of another file
/// only the owner. A Kubernetes secret in a pod with an fsGroup is root's, with mode 0440.
[[nodiscard]] bool is_private(const SecretFile& file);

/// Adds a warning about the private key in `file`, if others than its owner and group can read or replace it.
/// `path` is its path, `config_key` the key of the configuration that names it.
void warn_of_open_key(const SecretFile& file, const std::string& path, const char* config_key,
                      Diagnostics& out);

}  // namespace headgate
