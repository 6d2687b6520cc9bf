#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/secret_bytes.h"

/// Structures as bytes that an older and a newer program both understand, or refuse: a sequence of fields,
/// each tag (16 bits), flags (16), length (32) and that many bytes, little-endian throughout. A structure
/// lists its fields once, for writing and for reading:
///
///     template <class Codec, class Point>
///     void list_fields(Codec& codec, Point& point) {
///       codec.field(1, point.x);
///       codec.field(2, point.label, Unknown::kSkip);
///     }
///
/// Fields may be unsigned integers, bool, enumerations, std::string, durations, bytes, lists of strings, and
/// structures. A tag is never used again for something else. Pure; any thread.
namespace headgate {

/// What an older reader that does not know a field does with it, and what a newer reader that misses it does:
/// kRefuse the whole message, or kSkip the field and keep the default.
enum class Unknown : std::uint8_t { kRefuse, kSkip };

class FieldWriter {
 public:
  template <class Value>
  void field(std::uint16_t tag, const Value& value, Unknown unknown = Unknown::kRefuse) {
    const std::size_t length_at = begin(tag, unknown);
    put(value);
    end(length_at);
  }

  /// A field that is there or not.
  template <class Value>
  void optional_field(std::uint16_t tag, const std::unique_ptr<Value>& value) {
    if (value) field(tag, *value);
  }

  [[nodiscard]] SecretBytes take() { return std::move(bytes_); }

 private:
  std::size_t begin(std::uint16_t tag, Unknown unknown);
  void end(std::size_t length_at);
  void put_number(std::uint64_t number, std::size_t size_bytes);
  void put(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void put(const std::vector<std::byte>& bytes) { put(std::span(bytes)); }
  void put(const SecretBytes& bytes) { put(std::span<const std::byte>(bytes)); }
  void put(const std::string& text) { put(std::as_bytes(std::span(text))); }
  void put(const std::vector<std::string>& texts);
  template <std::size_t Size>
  void put(const std::array<std::byte, Size>& bytes) {
    put(std::span<const std::byte>(bytes));
  }
  template <std::size_t Size>
  void put(const std::vector<std::array<std::byte, Size>>& entries) {
    for (const auto& entry : entries) put(entry);
  }
  template <std::unsigned_integral Number>
  void put(Number number) {
    put_number(number, sizeof number);
  }
  template <class Enumeration>
    requires std::is_enum_v<Enumeration>
  void put(Enumeration value) {
    put(static_cast<std::make_unsigned_t<std::underlying_type_t<Enumeration>>>(value));
  }
  void put(std::chrono::milliseconds duration) {
    put_number(static_cast<std::uint64_t>(duration.count()), 8);
  }
  template <class Structure>
    requires std::is_class_v<Structure>
  void put(const Structure& structure) {
    list_fields(*this, structure);
  }

  SecretBytes bytes_;
};

class FieldReader {
 public:
  /// `bytes` must outlive it.
  explicit FieldReader(std::span<const std::byte> bytes);

  /// Reads the field into `value`. What is wrong is told by finish().
  template <class Value>
  void field(std::uint16_t tag, Value& value, Unknown unknown = Unknown::kRefuse) {
    const auto content = find(tag, unknown);
    if (content.data() != nullptr && !get(content, value)) refuse(tag, "has a value it cannot have");
  }

  /// A field that is there or not.
  template <class Value>
  void optional_field(std::uint16_t tag, std::unique_ptr<Value>& value) {
    value.reset();
    const auto content = find(tag, Unknown::kSkip);
    if (content.data() == nullptr) return;
    value = std::make_unique<Value>();
    if (!get(content, *value)) refuse(tag, "has a value it cannot have");
  }

  /// Field `tag` was read, and the caller cannot take it.
  void refuse(std::uint16_t tag, const char* why);

  /// Whether the bytes were these fields, each once, with nothing left over that may not be skipped. Errors:
  /// kMalformed.
  [[nodiscard]] Result<void> finish();

 private:
  struct Field {
    std::uint16_t tag = 0;
    Unknown unknown = Unknown::kRefuse;
    bool used = false;
    std::span<const std::byte> content;
  };
  using Content = std::span<const std::byte>;

  Content parse_field(Content bytes);
  /// The field's bytes; a null pointer when it is not there.
  Content find(std::uint16_t tag, Unknown unknown);
  static bool get_number(Content content, std::size_t size_bytes, std::uint64_t& number);
  bool get(Content content, std::vector<std::byte>& bytes);
  bool get(Content content, SecretBytes& bytes);
  bool get(Content content, std::string& text);
  bool get(Content content, std::vector<std::string>& texts);
  bool get(Content content, std::chrono::milliseconds& duration);
  bool get(Content content, bool& value);
  template <std::size_t Size>
  bool get(Content content, std::array<std::byte, Size>& bytes) {
    if (content.size() != Size) return false;
    std::copy(content.begin(), content.end(), bytes.begin());
    return true;
  }
  template <std::size_t Size>
  bool get(Content content, std::vector<std::array<std::byte, Size>>& entries) {
    for (; content.size() >= Size; content = content.subspan(Size))
      get(content.first(Size), entries.emplace_back());
    return content.empty();
  }
  template <std::unsigned_integral Number>
  bool get(Content content, Number& value) {
    std::uint64_t number = 0;
    if (!get_number(content, sizeof value, number)) return false;
    value = static_cast<Number>(number);
    return true;
  }
  /// The enumeration's `is_known(value)` says which values there are.
  template <class Enumeration>
    requires std::is_enum_v<Enumeration>
  bool get(Content content, Enumeration& value) {
    std::make_unsigned_t<std::underlying_type_t<Enumeration>> number = 0;
    if (!get(content, number) || !is_known(static_cast<Enumeration>(number))) return false;
    value = static_cast<Enumeration>(number);
    return true;
  }
  template <class Structure>
    requires std::is_class_v<Structure>
  bool get(Content content, Structure& structure) {
    FieldReader reader(content);
    list_fields(reader, structure);
    if (const auto finished = reader.finish(); !finished)
      failure_ = failure_.empty() ? finished.error().what : failure_;
    return true;  // a failure inside is told as it is
  }

  std::vector<Field> fields_;
  std::string failure_;
};

}  // namespace headgate
