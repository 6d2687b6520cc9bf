#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "tls/library/openssl_types.h"
#include "tls/record/record_layer.h"

namespace headgate::lives {

/// The records of the script's end of a TLS connection: so the script says what each of them is, legal or
/// not.
class Records {
 public:
  /// What the peer has read out of the records at hand.
  struct Opened {
    std::string data;
    bool close_notify = false;
    int alert = -1;        ///< The fatal alert.
    bool is_legal = true;  ///< False: a record that no peer would accept.
  };

  virtual ~Records() = default;
  /// One record.
  [[nodiscard]] virtual std::string seal(ContentType type, std::string_view content) = 0;
  /// A KeyUpdate; empty where the version has none.
  [[nodiscard]] virtual std::string seal_key_update(KeyUpdateRequest) { return {}; }
  /// Opens the whole records at the front of `bytes` and takes them away.
  [[nodiscard]] virtual Opened open(std::string& bytes) = 0;
};

/// TLS 1.3 with AES-128-GCM.
class Tls13Records final : public Records {
 public:
  /// `role` is the script's own.
  Tls13Records(AeadContexts& contexts, TlsRole role, DirectionState sending, DirectionState receiving)
      : protector_(contexts, std::move(sending)), opener_(contexts, role, std::move(receiving)) {}
  [[nodiscard]] std::string seal(ContentType type, std::string_view content) override;
  [[nodiscard]] std::string seal_key_update(KeyUpdateRequest request) override;
  [[nodiscard]] Opened open(std::string& bytes) override;

 private:
  RecordProtector protector_;
  RecordOpener opener_;
  bool is_over_ = false;
};

/// TLS 1.2 with AES-128-GCM, behind the two Finished. RFC 5246, section 6.2.3.3, and RFC 5288.
class Tls12Records final : public Records {
 public:
  /// `ssl` has done the handshake as the script's end.
  explicit Tls12Records(SSL* ssl);
  [[nodiscard]] std::string seal(ContentType type, std::string_view content) override;
  [[nodiscard]] Opened open(std::string& bytes) override;

 private:
  struct Direction {
    std::array<unsigned char, 16> key{};
    std::array<unsigned char, 4> salt{};
    std::uint64_t sequence_number = 1;  // the Finished was 0
  };
  [[nodiscard]] bool open_record(std::string_view record, std::string& content);

  Direction sending_, receiving_;
  CipherCtxPtr context_;
};

}  // namespace headgate::lives
