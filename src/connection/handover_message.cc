#include "connection/handover_message.h"

#include <array>
#include <concepts>
#include <type_traits>
#include <utility>

#include "net/tagged_fields.h"

namespace headgate {

// Argument-dependent lookup finds the lists of fields, so they stand in this namespace itself. `Of` is the
// structure, which is constant when it is written. A tag never gets another meaning.
template <class Of, class Structure>
concept Either = std::same_as<std::remove_const_t<Of>, Structure>;

static bool is_known(HandoverLayer layer) {
  return layer <= HandoverLayer::kTls13;
}
static bool is_known(HandoverWord word) {
  return word <= HandoverWord::kServing;
}

static void list_fields(FieldWriter& codec, const DirectionState& direction) {
  codec.field(1, row(direction.suite).number);
  codec.field(2, direction.secret.bytes());
  codec.field(3, direction.sequence_number);
}

static void list_fields(FieldReader& codec, DirectionState& direction) {
  std::uint16_t number = 0;
  SecretBytes secret;
  codec.field(1, number);
  codec.field(2, secret);
  codec.field(3, direction.sequence_number);
  const auto suite = find_record_suite(number);
  if (!suite) return codec.refuse(1, "names a cipher suite unknown to this version");
  if (secret.size() != size_bytes(row(*suite).hash))
    return codec.refuse(2, "is not a secret of its cipher suite");
  direction.suite = *suite;
  direction.secret = TrafficSecret(secret);
}

template <class Codec, Either<PeerIdentity> Of>
void list_fields(Codec& codec, Of& peer) {
  codec.field(1, peer.spiffe_id);
  codec.field(2, peer.uris);
  codec.field(3, peer.dns);
  codec.field(4, peer.common_name);
  codec.field(5, peer.organizational_units);
  codec.field(6, peer.fingerprint);
  codec.field(7, peer.serial);
  codec.field(8, peer.issuer);
  auto not_after = std::chrono::duration_cast<std::chrono::milliseconds>(peer.not_after.time_since_epoch());
  codec.field(9, not_after);
  if constexpr (!std::is_const_v<Of>) peer.not_after = WallTime(not_after);
  // Tags 10 to 13 were keys of another form.
  codec.field(14, peer.chain);
  codec.field(15, peer.trust);
  codec.field(16, peer.issued_by);
  codec.field(17, peer.public_key, Unknown::kSkip);
}

template <class Codec, Either<HandoverSide> Of>
void list_fields(Codec& codec, Of& side) {
  codec.field(1, side.layer);
  if (side.layer == HandoverLayer::kTls13) {
    codec.field(2, side.sending);
    codec.field(3, side.receiving);
  }
  codec.field(4, side.received);
  codec.field(5, side.unsent);
  codec.field(6, side.ended_reading);
  codec.field(7, side.ended_writing);
}

template <class Codec, Either<HandoverConnection> Of>
void list_fields(Codec& codec, Of& connection) {
  codec.field(1, connection.listener);
  codec.field(2, connection.client_address);
  codec.field(3, connection.server_name);
  codec.field(4, connection.alpn);
  codec.field(5, connection.tls_version);
  codec.field(6, connection.group);
  codec.field(7, connection.cipher);
  codec.field(8, connection.key_type);
  codec.field(9, connection.resumed);
  codec.field(10, connection.probe);
  codec.optional_field(11, connection.peer);
  codec.field(12, connection.backend);
  codec.field(13, connection.server);
  codec.field(14, connection.bytes_from_client);
  codec.field(15, connection.bytes_to_client);
  codec.field(16, connection.age);
  codec.field(17, connection.quiet);
  // What may be missing comes before what may not, so that a message that is cut short is refused.
  codec.field(20, connection.proxy_id, Unknown::kSkip);
  codec.field(21, connection.aws_vpc_endpoint, Unknown::kSkip);
  codec.field(22, connection.azure_private_link, Unknown::kSkip);
  codec.field(23, connection.gcp_psc_connection, Unknown::kSkip);
  codec.field(24, connection.ja4, Unknown::kSkip);
  codec.field(18, connection.client_side);
  codec.field(19, connection.backend_side);
}

template <class Codec, Either<HandoverListener> Of>
void list_fields(Codec& codec, Of& listener) {
  codec.field(1, listener.listener);
  codec.field(2, listener.address);
}

template <class Codec, Either<HandoverCounters> Of>
void list_fields(Codec& codec, Of& counters) {
  codec.field(1, counters.lines);
}

template <class Codec, Either<HandoverKeyPair> Of>
void list_fields(Codec& codec, Of& pair) {
  codec.field(1, pair.leaf);
  codec.field(2, pair.key);
  codec.field(3, pair.chain);
}

template <class Codec, Either<HandoverCertificate> Of>
void list_fields(Codec& codec, Of& certificate) {
  codec.field(1, certificate.listener);
  codec.field(2, certificate.directory);
  codec.field(3, certificate.file);
  codec.field(4, certificate.held);
  codec.optional_field(5, certificate.old);
  codec.field(6, certificate.went_back);
  codec.field(7, certificate.canary_percent);
  codec.field(8, certificate.canary_for);
}

template <class Codec, Either<HandoverNotice> Of>
void list_fields(Codec& codec, Of& notice) {
  codec.field(1, notice.word);
  codec.field(2, notice.detail, Unknown::kSkip);
}

namespace {

/// A message begins with "HGHO", version and kind (two bytes each, little-endian); the fields follow.
constexpr std::array<std::byte, 4> kMagic{std::byte{'H'}, std::byte{'G'}, std::byte{'H'}, std::byte{'O'}};
constexpr std::size_t kHeaderBytes = kMagic.size() + 4;

/// Of text that a message holds at most, where the text may be divided or cut: far below what can be sent.
constexpr std::size_t kPieceBytes = std::size_t{64} * 1024;
constexpr std::size_t kMaxRefusalBytes = 1024;

void put_16_bits(SecretBytes& bytes, std::size_t value) {
  bytes.push_back(static_cast<std::byte>(value));
  bytes.push_back(static_cast<std::byte>(value >> 8));
}

std::size_t get_16_bits(std::span<const std::byte> bytes) {
  return std::to_integer<std::size_t>(bytes[0]) | std::to_integer<std::size_t>(bytes[1]) << 8;
}

/// The kind of a message is the place of its type in the variant: new types go to the end.
template <std::size_t Kind = 0>
Result<HandoverMessage> decode_kind(std::size_t kind, std::span<const std::byte> fields) {
  if constexpr (Kind < std::variant_size_v<HandoverMessage>) {
    if (kind != Kind) return decode_kind<Kind + 1>(kind, fields);
    HandoverMessage message(std::in_place_index<Kind>);
    FieldReader reader(fields);
    list_fields(reader, std::get<Kind>(message));
    if (const auto finished = reader.finish(); !finished) {
      return fail(ErrorKind::kMalformed,
                  "hand-over message of kind " + std::to_string(kind) + ": " + finished.error().what);
    }
    return message;
  } else {
    return fail(ErrorKind::kRefused,
                "hand-over message of kind " + std::to_string(kind) + ", unknown to this version");
  }
}

}  // namespace

HandoverNotice notice_of(HandoverWord word, std::string detail) {
  // Nobody reads why a connection is refused, and 32 answers must fit into the socket's buffer.
  const std::size_t most = word == HandoverWord::kRefused ? kMaxRefusalBytes : kPieceBytes;
  if (detail.size() > most) detail.replace(most, detail.npos, " ...");
  return {word, std::move(detail)};
}

std::vector<HandoverCounters> counters_in_pieces(std::vector<std::string> lines) {
  std::vector<HandoverCounters> pieces;
  std::size_t bytes = kPieceBytes;
  for (std::string& line : lines) {
    bytes += line.size();
    if (bytes >= kPieceBytes) {
      pieces.emplace_back();
      bytes = line.size();
    }
    pieces.back().lines.push_back(std::move(line));
  }
  return pieces;
}

SecretBytes encode(const HandoverMessage& message) {
  FieldWriter writer;
  std::visit([&writer](const auto& structure) { list_fields(writer, structure); }, message);
  const SecretBytes fields = writer.take();
  SecretBytes bytes(kMagic.begin(), kMagic.end());
  bytes.reserve(kHeaderBytes + fields.size());
  put_16_bits(bytes, kHandoverVersion);
  put_16_bits(bytes, message.index());
  bytes.insert(bytes.end(), fields.begin(), fields.end());
  return bytes;
}

Result<HandoverMessage> decode_handover(std::span<const std::byte> bytes) {
  if (bytes.size() < kHeaderBytes || !std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) {
    return fail(ErrorKind::kMalformed, "not a hand-over message");
  }
  const std::size_t version = get_16_bits(bytes.subspan(kMagic.size()));
  if (version != kHandoverVersion) {
    return fail(ErrorKind::kRefused, "hand-over of version " + std::to_string(version) +
                                         "; this one understands version " +
                                         std::to_string(kHandoverVersion));
  }
  return decode_kind(get_16_bits(bytes.subspan(kMagic.size() + 2)), bytes.subspan(kHeaderBytes));
}

}  // namespace headgate
