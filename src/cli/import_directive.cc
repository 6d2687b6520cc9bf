#include "cli/import_directive.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/ascii.h"
#include "cli/import_words.h"

namespace headgate {
namespace {

const std::string kNoWord;

/// Lines whose second or third word says what they do. None of these words is a secret.
std::size_t telling_words(const Directive& directive) {
  static const std::set<std::string_view> two = {"option", "no",  "timeout", "mode",       "balance",
                                                 "stats",  "acl", "bind",    "use_backend"};
  static const std::set<std::string_view> three = {"tcp-request",   "tcp-response", "http-request",
                                                   "http-response", "tcp-check",    "server"};
  if (three.contains(directive.key())) return 3;
  return two.contains(directive.key()) ? 2 : 1;
}

std::string beginning_of(const Directive& directive) {
  std::string text;
  const std::size_t count = std::min(telling_words(directive), directive.size());
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : " ") + directive.word(i);
  return text;
}

const KnownLoss* find_loss(const Directive& directive, const KnownLosses& known) {
  const std::string key = ascii_lower(directive.key());
  auto found = known.find(key + ' ' + directive.value());
  if (found == known.end()) found = known.find(key);
  return found == known.end() ? nullptr : &found->second;
}

}  // namespace

bool Imported::lost_a_rule() const {
  return std::ranges::any_of(remarks, [](const Remark& remark) { return remark.loss == Loss::kRule; });
}

void Imported::note(const Directive& at, std::string what) {
  remarks.push_back({at.line(), std::move(what), Loss::kHarmless, at.file()});
}

void Imported::lose(const Directive& at, std::string what) {
  remarks.push_back({at.line(), std::move(what), Loss::kRule, at.file()});
}

const std::string& Directive::word(std::size_t index) const {
  return index < words_.size() ? words_[index] : kNoWord;
}

void Directive::take(std::size_t index) {
  if (index < taken_.size()) taken_[index] = true;
}

bool Directive::is_untouched() const {
  return std::ranges::none_of(taken_, [](bool taken) { return taken; });
}

void Directive::take_as(const Directive& other) {
  for (std::size_t i = 0; i < other.size(); ++i) {
    if (other.is_taken(i)) take(i);
  }
}

bool Directive::misses(const Directive& other) const {
  for (std::size_t i = 0; i < other.size(); ++i) {
    if (other.is_taken(i) && !is_taken(i)) return true;
  }
  return false;
}

std::string DirectiveOptions::take_value() {
  directive_.take(at_);
  directive_.take(at_ + 1);
  std::string value = directive_.word(at_ + 1);
  at_ += 2;
  return value;
}

void name_replaced(const std::vector<const Directive*>& lines, std::string (*option_of)(const Directive&),
                   Imported& into) {
  std::map<std::string, int> last;
  for (const Directive* line : lines) {
    const std::string option = option_of(*line);
    if (option.empty()) continue;
    const auto [before, fresh] = last.try_emplace(option, line->line());
    if (!fresh)
      into.note(before->second, option + ": left out: line " + std::to_string(line->line()) + " replaces it");
    before->second = line->line();
  }
}

std::vector<Directive*> SharedLines::copy() {
  std::vector<Directive>& own = copies_.emplace_back();
  own.reserve(lines_.size());
  for (const Directive* line : lines_) own.push_back(*line);
  std::vector<Directive*> pointers;
  for (Directive& line : own) pointers.push_back(&line);
  return pointers;
}

void SharedLines::settle(const KnownLosses& known, Imported& into) {
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    Directive all(lines_[i]->line(), lines_[i]->words(), lines_[i]->file());
    for (const std::vector<Directive>& lines : copies_) all.take_as(lines[i]);
    for (const std::vector<Directive>& lines : copies_) {
      if (lines[i].misses(all)) name_the_rest(lines[i], known, into);
    }
    lines_[i]->take_as(all);
  }
}

void name_the_rest(const Directive& directive, const KnownLosses& known, Imported& into) {
  if (directive.is_untouched()) {
    const KnownLoss* loss = find_loss(directive, known);
    const std::string why(loss == nullptr ? "has no equivalent in Headgate" : loss->why);
    std::string what = beginning_of(directive) + ": " + why;
    if (loss != nullptr && loss->loss == Loss::kHarmless) {
      into.note(directive, std::move(what));
    } else {
      into.lose(directive, std::move(what));
    }
    return;
  }
  for (std::size_t i = 0; i < directive.size(); ++i) {
    if (!directive.is_taken(i))
      into.lose(directive, directive.key() + ": no equivalent in Headgate for " + directive.word(i));
  }
}

}  // namespace headgate
