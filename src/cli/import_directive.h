#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/import.h"

namespace headgate {

using Words = std::vector<std::string>;

/// A line of another program's file as words. A word is either taken, which puts it into the translation, or
/// name_the_rest() names it. So no word is lost in silence, also none that is new to this program.
class Directive {
 public:
  /// `file` is one that the imported file includes; empty: the imported file itself.
  Directive(int line, Words words, std::string file = {})
      : line_(line), words_(std::move(words)), taken_(words_.size()), file_(std::move(file)) {}

  [[nodiscard]] int line() const { return line_; }
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] std::size_t size() const { return words_.size(); }
  [[nodiscard]] const Words& words() const { return words_; }
  /// Word `index`, empty behind the end. Looking at a word does not take it.
  [[nodiscard]] const std::string& word(std::size_t index) const;
  [[nodiscard]] const std::string& key() const { return word(0); }
  [[nodiscard]] const std::string& value() const { return word(1); }
  [[nodiscard]] bool is(std::string_view first) const { return key() == first; }
  [[nodiscard]] bool is(std::string_view first, std::string_view second) const {
    return key() == first && value() == second;
  }

  /// The translation has word `index`, or a remark explains why not.
  void take(std::size_t index);
  void take_all() { taken_.assign(taken_.size(), true); }
  [[nodiscard]] bool is_taken(std::size_t index) const { return index < taken_.size() && taken_[index]; }
  [[nodiscard]] bool is_untouched() const;
  /// Takes the words that `other`, a copy of the same line, has taken.
  void take_as(const Directive& other);
  /// Whether `other`, a copy of the same line, has taken a word that this one has not.
  [[nodiscard]] bool misses(const Directive& other) const;

 private:
  int line_;
  Words words_;
  std::vector<bool> taken_;
  std::string file_;
};

/// The words of a line from `from` on, which are options with a value or flags, one by one. The directive
/// outlives it.
class DirectiveOptions {
 public:
  DirectiveOptions(Directive& directive, std::size_t from) : directive_(directive), at_(from) {}

  /// The next word, which is not taken yet; empty at the end.
  [[nodiscard]] const std::string& peek() const { return directive_.word(at_); }
  [[nodiscard]] bool at_end() const { return at_ >= directive_.size(); }
  /// Takes the option at hand.
  void take_flag() { directive_.take(at_++); }
  /// Takes the option at hand and its value, which it returns; empty at the end of the line.
  std::string take_value();
  /// The value of the option at hand.
  [[nodiscard]] const std::string& value() const { return directive_.word(at_ + 1); }
  /// Leaves the word to name_the_rest().
  void skip() { ++at_; }
  [[nodiscard]] int line() const { return directive_.line(); }

 private:
  Directive& directive_;
  std::size_t at_;
};

/// What is known of lines that are in no translation, by their first word or their first two ("option
/// tcplog"), the first in lower case: why they are not needed, or what to do in their place.
struct KnownLoss {
  Loss loss = Loss::kRule;
  std::string_view why;
};
using KnownLosses = std::map<std::string_view, KnownLoss>;
/// Of every original.
inline constexpr KnownLoss kOwnWay{Loss::kHarmless,
                                   "left out: Headgate does it in its own way or not at all"};
inline constexpr KnownLoss kOwnLog{Loss::kHarmless, "left out: see log.level, log.format and log.access"};

/// Names each line that a later one replaces. `option_of` says which option a line sets; of the lines that
/// set the same option, the last one holds. It is empty for a line that holds beside the others.
void name_replaced(const std::vector<const Directive*>& lines, std::string (*option_of)(const Directive&),
                   Imported& into);

/// Lines that hold in several places, such as a `defaults` section. Each place takes the words that it needs
/// from a copy of its own, so a word that one place carries over and another does not is named.
class SharedLines {
 public:
  /// The lines outlive this object.
  explicit SharedLines(std::vector<Directive*> lines) : lines_(std::move(lines)) {}

  /// A copy of the lines for one more place. The pointers are valid as long as this object.
  [[nodiscard]] std::vector<Directive*> copy();
  /// Takes the words in the lines themselves that any place has taken, and names those that some place lacks.
  void settle(const KnownLosses& known, Imported& into);

 private:
  std::vector<Directive*> lines_;
  std::deque<std::vector<Directive>> copies_;
};

/// Adds a remark for each word of `directive` that was not taken. A line that `known` lacks is a rule. Values
/// are left out of remarks, since they may be secrets.
void name_the_rest(const Directive& directive, const KnownLosses& known, Imported& into);

}  // namespace headgate
