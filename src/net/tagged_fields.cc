#include "net/tagged_fields.h"

#include <algorithm>

namespace headgate {
namespace {

constexpr std::size_t kHeaderBytes = 8;
constexpr std::size_t kLengthOffset = 4;
constexpr std::size_t kLengthBytes = 4;
constexpr std::uint64_t kFlagSkip = 1;
/// More fields than any structure has. Keeps the search for a tag short whatever the bytes are.
constexpr std::size_t kMaxFields = 256;

std::uint64_t little_endian(std::span<const std::byte> bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = bytes.size(); i > 0; --i)
    number = number << 8 | std::to_integer<std::uint64_t>(bytes[i - 1]);
  return number;
}

}  // namespace

void FieldWriter::put_number(std::uint64_t number, std::size_t size_bytes) {
  for (std::size_t i = 0; i < size_bytes; ++i) bytes_.push_back(static_cast<std::byte>(number >> 8 * i));
}

std::size_t FieldWriter::begin(std::uint16_t tag, Unknown unknown) {
  put_number(tag, 2);
  put_number(unknown == Unknown::kSkip ? kFlagSkip : 0, 2);
  put_number(0, kLengthBytes);
  return bytes_.size() - kLengthBytes;
}

void FieldWriter::end(std::size_t length_at) {
  const std::size_t length = bytes_.size() - length_at - kLengthBytes;
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    bytes_[length_at + i] = static_cast<std::byte>(length >> 8 * i);
}

void FieldWriter::put(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    put_number(text.size(), kLengthBytes);
    put(text);
  }
}

FieldReader::FieldReader(std::span<const std::byte> bytes) {
  while (!bytes.empty() && failure_.empty()) bytes = parse_field(bytes);
}

/// Takes the field at the front of `bytes`, and returns what follows it.
FieldReader::Content FieldReader::parse_field(Content bytes) {
  if (bytes.size() < kHeaderBytes) {
    refuse(0, "is cut short");
    return {};
  }
  const auto tag = static_cast<std::uint16_t>(little_endian(bytes.first(2)));
  const std::uint64_t flags = little_endian(bytes.subspan(2, 2));
  const std::uint64_t length = little_endian(bytes.subspan(kLengthOffset, kLengthBytes));
  const Content rest = bytes.subspan(kHeaderBytes);
  const auto same = [tag](const Field& field) { return field.tag == tag; };
  if ((flags & ~kFlagSkip) != 0) refuse(tag, "has flags of a later version");
  if (length > rest.size()) refuse(tag, "is cut short");
  if (std::any_of(fields_.begin(), fields_.end(), same)) refuse(tag, "is there twice");
  if (fields_.size() == kMaxFields) refuse(tag, "is one too many");
  if (!failure_.empty()) return {};
  fields_.push_back({tag, flags == kFlagSkip ? Unknown::kSkip : Unknown::kRefuse, false, rest.first(length)});
  return rest.subspan(length);
}

FieldReader::Content FieldReader::find(std::uint16_t tag, Unknown unknown) {
  const auto found =
      std::find_if(fields_.begin(), fields_.end(), [tag](const Field& field) { return field.tag == tag; });
  if (found != fields_.end()) {
    found->used = true;
    return found->content;
  }
  if (unknown == Unknown::kRefuse) refuse(tag, "is missing");
  return {};
}

void FieldReader::refuse(std::uint16_t tag, const char* why) {
  if (failure_.empty()) failure_ = "field " + std::to_string(tag) + " " + why;
}

Result<void> FieldReader::finish() {
  for (const Field& field : fields_) {
    if (!field.used && field.unknown == Unknown::kRefuse) refuse(field.tag, "is unknown to this version");
  }
  if (!failure_.empty()) return fail(ErrorKind::kMalformed, failure_);
  return {};
}

bool FieldReader::get_number(Content content, std::size_t size_bytes, std::uint64_t& number) {
  if (content.size() != size_bytes) return false;
  number = little_endian(content);
  return true;
}

bool FieldReader::get(Content content, std::vector<std::byte>& bytes) {
  bytes.assign(content.begin(), content.end());
  return true;
}

bool FieldReader::get(Content content, SecretBytes& bytes) {
  bytes.assign(content.begin(), content.end());
  return true;
}

bool FieldReader::get(Content content, std::string& text) {
  text.assign(reinterpret_cast<const char*>(content.data()), content.size());
  return true;
}

bool FieldReader::get(Content content, std::vector<std::string>& texts) {
  while (!content.empty()) {
    if (content.size() < kLengthBytes) return false;
    const std::uint64_t length = little_endian(content.first(kLengthBytes));
    content = content.subspan(kLengthBytes);
    if (length > content.size()) return false;
    get(content.first(length), texts.emplace_back());
    content = content.subspan(length);
  }
  return true;
}

bool FieldReader::get(Content content, std::chrono::milliseconds& duration) {
  std::uint64_t number = 0;
  if (!get_number(content, sizeof number, number)) return false;
  // At most what a clock that counts nanoseconds can hold.
  constexpr auto kMost =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds::max());
  if (number > static_cast<std::uint64_t>(kMost.count())) return false;
  duration = std::chrono::milliseconds(number);
  return true;
}

bool FieldReader::get(Content content, bool& value) {
  std::uint64_t number = 0;
  if (!get_number(content, sizeof value, number) || number > 1) return false;
  value = number == 1;
  return true;
}

}  // namespace headgate
