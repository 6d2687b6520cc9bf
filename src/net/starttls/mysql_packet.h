#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The first packets of MySQL's and MariaDB's protocol, as far as TLS depends on them ("Connection Phase" of
/// MySQL's internals manual, "Connecting" in MariaDB's documentation). A packet is three bytes of length, low
/// byte first, a number that both sides count up together, and a payload.
namespace headgate::mysql {

inline constexpr std::size_t kHeaderBytes = 4;
/// The whole SSLRequest. A client's login begins with the same bytes, but for the length.
inline constexpr std::size_t kRequestBytes = 36;

/// What a server said first.
struct Greeting {
  enum class State : std::uint8_t {
    kNeedMore,
    kDone,
    kError,      ///< The server does not serve: `error` has its words.
    kMalformed,  ///< It is no server of this protocol, or one of before 2004.
  };
  State state = State::kNeedMore;
  std::size_t size_bytes = 0;
  std::size_t capabilities_at = 0;  ///< Where the low bytes of its capabilities stand.
  bool offers_tls = false;
  std::string_view error;  ///< Points into what was read.
};

/// Reads the server's greeting at the start of `received`, which has at most kMaxStarttlsInputBytes. Pure.
[[nodiscard]] Greeting read_greeting(std::span<const std::byte> received);

/// Makes a greeting that was read offer TLS, or not.
enum class Offer : std::uint8_t { kTls, kNoTls };
void set_offer(std::span<std::byte> bytes, const Greeting& greeting, Offer offer);

/// What a client answers to the greeting.
enum class Answer : std::uint8_t {
  kNeedMore,
  kRequest,    ///< SSLRequest, of kRequestBytes: the ClientHello comes next, and no answer is waited for.
  kLogin,      ///< The login itself, in plaintext. At least its first kRequestBytes are there.
  kMalformed,  ///< None of them, or the login of a client of before 2004.
};
[[nodiscard]] Answer read_answer(std::span<const std::byte> received);

/// The SSLRequest for a server, from the first kRequestBytes of a client's answer: a server takes the
/// client's capabilities from there, and not from the login behind it.
[[nodiscard]] std::vector<std::byte> request_for(std::span<const std::byte> answer);

/// The SSLRequest of a client that only tries whether TLS is there.
[[nodiscard]] std::vector<std::byte> request_of_a_check();

/// A packet that says why the client is not served, and ends the connection. The greeting has number 0.
/// `state` is the SQLSTATE; it is not sent in place of a greeting, where clients would show it as text.
[[nodiscard]] std::string error_packet(std::uint8_t number, std::uint16_t code, std::string_view state,
                                       std::string_view message);

/// Fits the packets of a login to each other where TLS is on one side alone: the side with TLS has counted
/// one packet more, the SSLRequest. Both directions pass through it until the server has said OK or ERR;
/// numbers begin anew with each command after that. Keeps no bytes; what passes is changed in place. One
/// connection's.
class Login {
 public:
  /// The side that has TLS.
  enum class TlsSide : std::uint8_t { kClient, kServer };
  explicit Login(TlsSide side) : client_has_tls_(side == TlsSide::kClient) {}

  /// Bytes on their way from the client to the server, in the order in which they came.
  void from_client(std::span<std::byte> bytes);
  /// Bytes on their way from the server to the client.
  void from_server(std::span<std::byte> bytes);
  /// Whether the login has been decided, and its last byte has passed.
  [[nodiscard]] bool is_over() const { return over_; }

 private:
  /// The place in one direction's packets.
  struct Place {
    std::size_t header_bytes = 0;  ///< Read of the header at hand; kHeaderBytes: in the payload.
    std::size_t left_bytes = 0;    ///< Of the payload.
    std::size_t at = 0;            ///< In the payload.
    std::size_t packets = 0;       ///< Begun.
  };
  void pass(Place& place, std::byte& byte, bool to_client);
  void pass_payload(const Place& place, std::byte& byte, bool to_client);

  bool client_has_tls_;
  bool decided_ = false;
  bool over_ = false;
  Place client_, server_;
};

}  // namespace headgate::mysql
