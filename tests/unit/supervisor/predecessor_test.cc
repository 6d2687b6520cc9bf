#include "supervisor/predecessor.h"

#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <optional>

#include <gtest/gtest.h>

#include "net/socket.h"

namespace headgate {
namespace {

/// The process before; the test plays it.
struct Before {
  Before() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    ours = Fd(ends[0]);
    predecessor.emplace(Fd(ends[1]));
  }
  void send(const HandoverMessage& message, std::span<const int> descriptors = {}) const {
    EXPECT_TRUE(send_with_descriptors(ours.number(), encode(message), descriptors));
  }
  void say(HandoverWord word) const { send(HandoverNotice{word, ""}); }
  [[nodiscard]] HandoverNotice heard() const {
    auto passed = receive_with_descriptors(ours.number());
    EXPECT_TRUE(passed);
    return std::get<HandoverNotice>(*decode_handover(passed->bytes));
  }
  Fd ours;
  std::optional<Predecessor> predecessor;
};

HandoverConnection connection_to(const std::string& backend) {
  HandoverConnection connection;
  connection.listener = "web";
  connection.backend = backend;
  return connection;
}

Result<void> take_all(HandoverConnection, Fd, Fd) {
  return {};
}
void count_nothing(const std::vector<std::string>&) {}

TEST(Predecessor, IsThereOnlyForAProcessStartedByAnUpgrade) {
  ::unsetenv(kHandoverVariable);
  EXPECT_EQ(Predecessor::find(), nullptr);
}

TEST(Predecessor, TakesItsVariableFromTheEnvironment) {
  ::setenv(kHandoverVariable, "987654", 1);
  EXPECT_EQ(Predecessor::find(), nullptr);
  EXPECT_EQ(std::getenv(kHandoverVariable), nullptr);
}

TEST(Predecessor, TellsTheLayersOfTheSandboxThatItRunsIn) {
  SandboxLayers layers;
  layers.add(digest_of("rules"));
  Before before;
  before.send(HandoverNotice{HandoverWord::kListening, layers.text()});
  ASSERT_TRUE(before.predecessor->receive_sockets());
  EXPECT_TRUE(before.predecessor->layers().holds(digest_of("rules")));
}

TEST(Predecessor, GivesEachListeningSocketWithItsListenerAndConfiguredAddress) {
  Before before;
  const auto socket = listen_on(*Address::parse("127.0.0.1:0"), {});
  before.send(HandoverListener{"web", "127.0.0.1:0"}, std::array{socket->number()});
  before.send(HandoverCertificate{.listener = "web",
                                  .file = "a.pem",
                                  .held = {.leaf = {std::byte{1}}, .key = {std::byte{2}}, .chain = {"c"}}});
  before.say(HandoverWord::kListening);
  const auto inheritance = before.predecessor->receive_sockets();
  ASSERT_TRUE(inheritance);
  const auto* sockets = &inheritance->sockets;
  ASSERT_EQ(inheritance->certificates.size(), 1U);
  EXPECT_EQ(inheritance->certificates.front().held.chain, std::vector<std::string>{"c"});
  ASSERT_EQ(sockets->size(), 1U);
  EXPECT_EQ(sockets->front().name, "web");
  EXPECT_EQ(sockets->front().address.port(), 0);
  EXPECT_EQ(local_address(sockets->front().fd.number()), local_address(socket->number()));
}

TEST(Predecessor, AnswersForEveryConnectionAndWaitsForTheLastWord) {
  Before before;
  const std::array two{before.ours.number(), before.ours.number()};
  before.send(connection_to("app"), two);
  before.send(connection_to("gone"), two);
  before.send(HandoverCounters{{"accepted 1 web"}});
  before.say(HandoverWord::kComplete);
  before.say(HandoverWord::kTakeOver);
  std::vector<std::string> counted;
  const auto take = [](HandoverConnection one, Fd, Fd) -> Result<void> {
    if (one.backend == "gone") return fail(ErrorKind::kNotFound, "there is no backend gone");
    return {};
  };
  EXPECT_TRUE(before.predecessor->receive_connections(take, [&](const auto& lines) { counted = lines; }));
  EXPECT_EQ(before.heard().word, HandoverWord::kReady);
  EXPECT_EQ(before.heard().word, HandoverWord::kTaken);
  const HandoverNotice refused = before.heard();
  EXPECT_EQ(refused.word, HandoverWord::kRefused);
  EXPECT_EQ(refused.detail, "there is no backend gone");
  EXPECT_EQ(before.heard().word, HandoverWord::kHolding);
  EXPECT_EQ(counted, std::vector<std::string>{"accepted 1 web"});
}

TEST(Predecessor, SaysThatItServesAndHearsWhetherItMay) {
  Before before;
  EXPECT_TRUE(before.predecessor->say_serving());
  EXPECT_EQ(before.heard().word, HandoverWord::kServing);
  ::shutdown(before.ours.number(), SHUT_RDWR);
  EXPECT_FALSE(before.predecessor->say_serving());
}

TEST(Predecessor, LeavesEverythingToAProcessThatEndsTheConversation) {
  Before before;
  before.say(HandoverWord::kComplete);
  ::shutdown(before.ours.number(), SHUT_WR);
  EXPECT_FALSE(before.predecessor->receive_connections(take_all, count_nothing));
}

TEST(Predecessor, RefusesAConnectionWithoutItsTwoSockets) {
  Before before;
  before.send(connection_to("app"), std::array{before.ours.number()});
  EXPECT_FALSE(before.predecessor->receive_connections(take_all, count_nothing));
}

TEST(Predecessor, HearsWhyTheNewProcessCannotGoOn) {
  Before before;
  before.predecessor->refuse("no certificate");
  const HandoverNotice notice = before.heard();
  EXPECT_EQ(notice.word, HandoverWord::kFailed);
  EXPECT_EQ(notice.detail, "no certificate");
}

}  // namespace
}  // namespace headgate
