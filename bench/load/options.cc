#include "options.h"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <sstream>

namespace headgate::bench {
namespace {

std::vector<int> numbers(const std::string& text) {
  std::vector<int> all;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) all.push_back(std::stoi(word));
  return all;
}

/// The value of `word` in `table`; gives up on another word.
template <class Value>
Value one_of(const std::map<std::string, Value>& table, const std::string& word) {
  const auto found = table.find(word);
  if (found == table.end()) give_up("unknown value: " + word);
  return found->second;
}

const std::map<std::string, Signatures> kSignatures{
    {"any", Signatures::kAny}, {"rsa", Signatures::kRsa}, {"ecdsa", Signatures::kEcdsa}};
const std::map<std::string, FloodKind> kFloodKinds{{"full", FloodKind::kFull},
                                                   {"retry", FloodKind::kRetry},
                                                   {"psk", FloodKind::kPsk},
                                                   {"ticket", FloodKind::kTicket}};

}  // namespace

void give_up(const std::string& why) {
  std::fprintf(stderr, "headgate_load: %s\n", why.c_str());
  std::exit(2);
}

Options parse_options(int count, char** words) {
  if (count < 2)
    give_up(
        "usage: headgate_load backend|handshakes|ping_pong|upload|download|idle|storm|flood|drip|honest|echo "
        "--port N ...");
  Options options;
  options.mode = words[1];
  using Reader = std::function<void(const std::string&)>;
  const std::map<std::string, Reader> readers{
      {"--port", [&](const auto& value) { options.port = static_cast<std::uint16_t>(std::stoi(value)); }},
      {"--socket", [&](const auto& value) { options.socket = value; }},
      {"--pids", [&](const auto& value) { options.pids = numbers(value); }},
      {"--count", [&](const auto& value) { options.count = std::stol(value); }},
      {"--warm", [&](const auto& value) { options.warm = std::stol(value); }},
      {"--connections", [&](const auto& value) { options.connections = std::stoul(value); }},
      {"--bytes", [&](const auto& value) { options.bytes = std::stoull(value); }},
      {"--seconds", [&](const auto& value) { options.seconds = std::stod(value); }},
      {"--rate", [&](const auto& value) { options.rate = std::stod(value); }},
      {"--interval-ms",
       [&](const auto& value) { options.interval = std::chrono::milliseconds(std::stol(value)); }},
      {"--patience-ms",
       [&](const auto& value) { options.patience = std::chrono::milliseconds(std::stol(value)); }},
      {"--resume", [&](const auto& value) { options.resume = value == "yes"; }},
      {"--name", [&](const auto& value) { options.name = value; }},
      {"--signatures", [&](const auto& value) { options.signatures = one_of(kSignatures, value); }},
      {"--kind", [&](const auto& value) { options.kind = one_of(kFloodKinds, value); }},
      {"--sources", [&](const auto& value) { options.sources = std::stoul(value); }},
      {"--share", [&](const auto& value) { options.share = std::stod(value); }},
      {"--together", [&](const auto& value) { options.together = std::stoul(value); }},
      {"--tiny-records", [&](const auto& value) { options.tiny_records = value == "yes"; }},
      {"--tls", [&](const auto& value) { options.tls = value; }},
      {"--groups", [&](const auto& value) { options.groups = value; }},
      {"--suites", [&](const auto& value) { options.suites = value; }},
      {"--ciphers", [&](const auto& value) { options.ciphers = value; }},
  };
  for (int i = 2; i < count; i += 2) {
    const auto reader = readers.find(words[i]);
    if (reader == readers.end() || i + 1 == count)
      give_up(std::string("unknown or without a value: ") + words[i]);
    reader->second(words[i + 1]);
  }
  return options;
}

}  // namespace headgate::bench
