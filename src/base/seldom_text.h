#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace headgate {

/// A text that most owners never have: a pointer's size until it is set.
class SeldomText {
 public:
  SeldomText& operator=(std::string text) {
    text_ = text.empty() ? nullptr : std::make_unique<std::string>(std::move(text));
    return *this;
  }
  void clear() { text_.reset(); }
  [[nodiscard]] std::string_view view() const {
    return text_ ? std::string_view(*text_) : std::string_view();
  }

 private:
  std::unique_ptr<std::string> text_;
};

}  // namespace headgate
