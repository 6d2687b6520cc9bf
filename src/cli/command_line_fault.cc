#include "cli/command_line_fault.h"

#include <optional>
#include <vector>

#include "base/secret_text.h"
#include "config/nearest.h"
#include "config/notation.h"

namespace headgate {
namespace {

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string unknown_word(const CLI::App& app, const std::string& word) {
  if (word.starts_with('-')) {
    const std::string option = word.substr(0, word.find('='));
    return "there is no option " + config::quote(option) + config::suggestion(option, options_of(app));
  }
  const std::vector<std::string> commands = commands_of(app);
  if (commands.empty()) return "the argument " + config::quote(word) + " is one too many";
  return "there is no command " + config::quote(word) + config::suggestion(word, commands);
}

/// A command line as far as it was understood: the commands in their order.
struct Understood {
  std::string words;  // "headgate import haproxy"
  const CLI::App* last = nullptr;
  std::optional<std::string> unknown;  // what is wrong with the first word that means nothing
};

Understood understood(const CLI::App& root) {
  Understood found{root.get_name(), &root, std::nullopt};
  for (;;) {
    if (const auto rest = found.last->remaining(); !rest.empty()) {
      found.unknown = unknown_word(*found.last, rest.front());
      return found;
    }
    const auto commands = found.last->get_subcommands();
    if (commands.empty()) return found;
    found.last = commands.front();
    found.words += ' ' + found.last->get_name();
  }
}

}  // namespace

std::string fault_of_command_line(const CLI::App& root, const CLI::ParseError& error) {
  const Understood found = understood(root);
  std::string what;
  if (found.unknown) {
    what = *found.unknown;
  } else if (error.get_exit_code() == 0) {
    return {};
  } else if (const auto commands = commands_of(*found.last); !commands.empty()) {
    what = "a command is needed: " + config::enumeration(commands, "or");
  } else {
    what = error.what();
  }
  return without_secrets(found.words + ": " + what + "\nFor options and an example run: " + found.words +
                         " --help\n");
}

}  // namespace headgate
