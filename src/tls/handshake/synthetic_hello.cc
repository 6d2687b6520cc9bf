#include "tls/handshake/synthetic_hello.h"

#include <cstdint>

#include "tls/handshake/byte_writer.h"

namespace headgate {
namespace {

constexpr std::size_t kMaxNameBytes = 255;

/// Puts an extension: its type, and its contents as a vector within a vector.
void put_list(ByteWriter& extensions, std::uint16_t type, int size_bytes, const ByteWriter& list) {
  ByteWriter contents;
  contents.vector(size_bytes, list);
  extensions.number(type, 2);
  extensions.vector(2, contents);
}

/// RFC 6066, section 3.
void put_server_name(ByteWriter& extensions, std::string_view name) {
  if (name.empty()) return;
  ByteWriter host, list;
  host.text(name);
  list.number(0, 1);  // host_name
  list.vector(2, host);
  put_list(extensions, 0, 2, list);
}

/// RFC 7301, section 3.1.
void put_alpn(ByteWriter& extensions, const std::vector<std::string>& protocols) {
  if (protocols.empty()) return;
  ByteWriter list;
  for (const std::string& protocol : protocols) {
    ByteWriter name;
    name.text(protocol);
    list.vector(1, name);
  }
  put_list(extensions, 16, 2, list);
}

ByteWriter extensions_of(std::string_view server_name, const std::vector<std::string>& alpn) {
  ByteWriter extensions, versions, groups, signatures;
  put_server_name(extensions, server_name);
  groups.numbers({0x11ec, 0x001d, 0x0017, 0x0018});  // X25519MLKEM768, X25519, P-256, P-384
  put_list(extensions, 10, 2, groups);
  signatures.numbers({0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601});
  put_list(extensions, 13, 2, signatures);
  put_alpn(extensions, alpn);
  versions.numbers({0x0304, 0x0303});
  put_list(extensions, 43, 1, versions);
  return extensions;
}

}  // namespace

Result<std::vector<std::byte>> synthetic_client_hello(std::string_view server_name,
                                                      const std::vector<std::string>& alpn) {
  if (server_name.size() > kMaxNameBytes)
    return fail(ErrorKind::kInvalid, "the name is longer than 255 bytes");
  for (const std::string& protocol : alpn) {
    if (protocol.empty() || protocol.size() > kMaxNameBytes)
      return fail(ErrorKind::kInvalid, "an ALPN protocol has 1 to 255 bytes");
  }
  ByteWriter suites, body, message, record;
  suites.numbers({0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8});
  body.number(0x0303, 2);                          // legacy_version
  for (int i = 0; i < 32; ++i) body.number(0, 1);  // random: nothing depends on it
  body.number(0, 1);                               // no session id
  body.vector(2, suites);
  body.number(0x0100, 2);  // one compression method: none
  body.vector(2, extensions_of(server_name, alpn));
  message.number(1, 1);  // client_hello
  message.vector(3, body);
  record.number(22, 1);  // handshake
  record.number(0x0301, 2);
  record.vector(2, message);
  return record.take();
}

}  // namespace headgate
