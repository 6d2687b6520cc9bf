#pragma once

#include <string>
#include <string_view>

#include "net/starttls/dialogue.h"

namespace headgate {

/// What the mail protocols share: commands are lines, ended by CRLF or a bare LF, and each gets one answer.
class LineDialogue : public StarttlsDialogue {
 public:
  [[nodiscard]] StarttlsStep feed(std::span<const std::byte> received) final;

 protected:
  struct Answer {
    StarttlsState state = StarttlsState::kNeedMore;
    std::string reply;
    bool needs_tls = false;  ///< The command was refused because TLS must come first.
  };

  /// Answers one command; `line` is without its end. kTlsBegins where TLS is to begin.
  [[nodiscard]] virtual Answer answer(std::string_view line) = 0;
  /// What a client hears before it is cut off for sending too many commands or too long a line.
  [[nodiscard]] virtual std::string_view farewell() const = 0;

 private:
  [[nodiscard]] std::string_view fault_of(std::string_view rest, std::size_t line_end) const;

  int commands_ = 0;
  bool refused_ = false;            // a command that needs TLS
  std::size_t searched_bytes_ = 0;  // of what was left unconsumed: no line ends in it
};

/// The first word of `line` in capitals; `rest`, if wanted, gets what follows the space behind it.
[[nodiscard]] std::string first_word(std::string_view line, std::string_view* rest = nullptr);

}  // namespace headgate
