#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace headgate {

/// Ciphertext that a connection keeps: the part of a record that has arrived so far, or bytes that were
/// received before this record layer took over. Holds memory only while there are such bytes, as much as
/// their record needs.
class PartialRecord {
 public:
  PartialRecord() = default;
  explicit PartialRecord(std::span<const std::byte> bytes) { append(bytes); }

  [[nodiscard]] bool empty() const { return !kept_ || kept_->begin == kept_->end; }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return empty() ? std::span<const std::byte>()
                   : std::span<const std::byte>(kept_->data.get() + kept_->begin, kept_->end - kept_->begin);
  }
  /// Whether it holds a whole record, or a header that can never become one.
  [[nodiscard]] bool has_record() const;
  /// How many bytes of the record, or of its header, are missing; 0 if has_record().
  [[nodiscard]] std::size_t missing_bytes() const;

  /// Room to receive the missing bytes into. Then tell added() how many came.
  [[nodiscard]] std::span<std::byte> room_for_missing();
  void added(std::size_t size_bytes) {
    if (size_bytes > 0) kept_->end += static_cast<std::uint32_t>(size_bytes);
  }
  /// Keeps more bytes. If a record begins with them, makes room for all of it.
  void append(std::span<const std::byte> bytes);
  /// Drops bytes from the front; memory stays until release_if_empty(), for the next partial record of a bulk
  /// flow.
  void consume(std::size_t size_bytes);
  void release_if_empty();

 private:
  struct Kept {
    std::unique_ptr<std::byte[]> data;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t capacity = 0;
  };
  void make_room(std::size_t size_bytes);

  std::unique_ptr<Kept> kept_;
};

}  // namespace headgate
