#include "supervisor/upgrade.h"

#include <fcntl.h>

#include <optional>

#include "unit/supervisor/process_parts.h"

namespace headgate {
namespace {

/// The new process, on a thread that is its main thread.
class NewProcess {
 public:
  /// `socket` is its end of the conversation.
  NewProcess(const config::Config& config, Fd socket) : parts_(config) {
    thread_ = std::thread([this, end = std::make_shared<Fd>(std::move(socket))] { run(std::move(*end)); });
  }
  /// Ends the process, with its connections.
  ~NewProcess() {
    parts_.inbox.post([this] { parts_.loop.stop(); });
    thread_.join();
  }
  NewProcess(const NewProcess&) = delete;
  NewProcess& operator=(const NewProcess&) = delete;

  [[nodiscard]] std::uint64_t accepted(const std::string& listener) const {
    std::uint64_t sum = 0;
    for (const auto& entry : parts_.registry.listeners()) {
      if (entry.listener == listener) sum += entry.metrics->accepted.value();
    }
    return sum;
  }

 private:
  void run(Fd socket) {
    Upgrade upgrade(
        {parts_.inbox, *parts_.log, parts_.board, parts_.registry, parts_.sockets, parts_.workers},
        {.start = {}}, std::make_unique<Predecessor>(std::move(socket)));
    if (auto served = take_over(upgrade); !served) return upgrade.refuse(served.error().what);
    parts_.loop.run();
  }
  Result<void> take_over(Upgrade& upgrade) {
    auto sockets = upgrade.inherited_sockets();
    if (!sockets) return tl::unexpected(std::move(sockets.error()));
    parts_.sockets = ListeningSockets(std::move(sockets->sockets));
    reloader_.emplace(parts_.reloader_parts(), Reloader::Site{.load = [this] { return parts_.load(); }});
    if (auto begun = reloader_->begin(); !begun)
      return fail(ErrorKind::kInvalid, begun.error().messages.front());
    if (auto inherited = upgrade.inherit(*reloader_->in_force()); !inherited) return inherited;
    return upgrade.take_over();
  }

  ProcessParts parts_;
  std::optional<Reloader> reloader_;
  std::thread thread_;
};

class UpgradeTest : public testing::Test {
 protected:
  UpgradeTest() {
    EXPECT_TRUE(reloader_.begin());
    EXPECT_TRUE(old_.workers.start());
  }
  Upgrade::Parts parts() {
    return {old_.inbox, *old_.log, old_.board, old_.registry, old_.sockets, old_.workers};
  }
  /// Hands over to a process of `next`.
  void upgrade_to(config::Config next) {
    Upgrade::Site site{.start = [this, next](int socket) -> Result<pid_t> {
      new_ = std::make_unique<NewProcess>(next, Fd(::fcntl(socket, F_DUPFD_CLOEXEC, 3)));
      return 0;
    }};
    site.handed_over = [this] { handed_over_ = true; };
    site.refusal = [this] { return refusal_; };
    upgrade_.emplace(parts(), std::move(site), nullptr);
    upgrade_->begin();
  }
  [[nodiscard]] Address address() const { return old_.sockets.addresses("web").front(); }

  TestBackend backend_;
  ProcessParts old_{plain_config(backend_.address())};
  Reloader reloader_{old_.reloader_parts(), {.load = [this] { return old_.load(); }}};
  std::optional<Upgrade::Refusal> refusal_;
  bool handed_over_ = false;
  std::unique_ptr<NewProcess> new_;
  std::optional<Upgrade> upgrade_;
};

TEST_F(UpgradeTest, MovesLiveConnectionsAndListeningSockets) {
  const Talk client = Talk::to(address());
  client.say("before");
  const Talk server = backend_.accept();
  EXPECT_EQ(server.hear(), "before");
  upgrade_to(old_.load().config);
  turn_until(old_.loop, [&] { return handed_over_; });
  EXPECT_FALSE(upgrade_->is_under_way());
  client.say("after");
  EXPECT_EQ(server.hear(), "after");
  server.say("answer");
  EXPECT_EQ(client.hear(), "answer");
  bool closed = false;
  const Address bound = address();
  old_.sockets.close("web");
  old_.workers.ask([](Worker& worker) { worker.stop_accepting("", Worker::Waiting::kLeave); },
                   [&](Workers::Heard) { closed = true; });
  turn_until(old_.loop, [&] { return closed; });
  const Talk later = Talk::to(bound);
  later.say("to the new process");
  EXPECT_EQ(backend_.accept().hear(), "to the new process");
}

TEST_F(UpgradeTest, LeavesEverythingWhereTheNewProcessCannotStart) {
  const Talk client = Talk::to(address());
  client.say("before");
  const Talk server = backend_.accept();
  EXPECT_EQ(server.hear(), "before");
  config::Config wrong = old_.load().config;
  wrong.backends["app"].servers.front().address = "not an address";
  upgrade_to(wrong);
  turn_until(old_.loop, [&] { return !upgrade_->is_under_way(); });
  EXPECT_FALSE(handed_over_);
  client.say("after");
  EXPECT_EQ(server.hear(), "after");
}

TEST_F(UpgradeTest, CarriesTheCountersOfAnyNumberOfListenersOn) {
  constexpr std::uint64_t kListeners = 1500;
  const auto name_of = [](std::uint64_t number) { return std::string(1000, 'n') + std::to_string(number); };
  for (std::uint64_t i = 0; i < kListeners; ++i) old_.registry.listener(0, name_of(i)).accepted.add(i + 1);
  upgrade_to(old_.load().config);
  turn_until(old_.loop, [&] { return handed_over_; });
  for (std::uint64_t i = 0; i < kListeners; ++i) ASSERT_EQ(new_->accepted(name_of(i)), i + 1);
  EXPECT_EQ(old_.board.copy().handovers_failed, 0U);
}

TEST_F(UpgradeTest, LeavesEverythingWhereAMessageCannotBeSent) {
  const Talk client = Talk::to(address());
  client.say("before");
  const Talk server = backend_.accept();
  EXPECT_EQ(server.hear(), "before");
  old_.registry.listener(0, std::string(2 * kMaxPassedBytes, 'n')).accepted.add();
  upgrade_to(old_.load().config);
  turn_until(old_.loop, [&] { return !upgrade_->is_under_way(); });
  EXPECT_FALSE(handed_over_);
  EXPECT_EQ(old_.board.copy().handovers_failed, 1U);
  client.say("after");
  EXPECT_EQ(server.hear(), "after");
}

TEST_F(UpgradeTest, MayBeCancelledAtAnyTime) {
  upgrade_to(old_.load().config);
  upgrade_->cancel();
  EXPECT_FALSE(upgrade_->is_under_way());
  old_.loop.run_once();
  EXPECT_FALSE(handed_over_);
}

TEST_F(UpgradeTest, IsRefusedWithAReason) {
  refusal_ = {"the process is draining"};
  upgrade_to(old_.load().config);
  EXPECT_FALSE(upgrade_->is_under_way());
}

}  // namespace
}  // namespace headgate
