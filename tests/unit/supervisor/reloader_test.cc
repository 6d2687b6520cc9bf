#include "supervisor/reloader.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <condition_variable>
#include <optional>

#include <gmock/gmock.h>

#include "base/check.h"
#include "supervisor/backend_watch.h"
#include "unit/supervisor/process_parts.h"

namespace headgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Verdict = Outcome::Verdict;
using namespace std::chrono_literals;

/// Holds the reload's thread until the test lets it read.
class Gate {
 public:
  void wait() {
    std::unique_lock lock(mutex_);
    ++here_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  [[nodiscard]] int here() {
    const std::lock_guard lock(mutex_);
    return here_;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int here_ = 0;
  bool open_ = false;
};

class ReloaderTest : public testing::Test {
 protected:
  void begin() {
    site_.load = [this] { return parts_.load(); };
    begin_with_site();
  }
  void begin_with_site() {
    reloader_.emplace(parts_.reloader_parts(), site_);
    ASSERT_TRUE(reloader_->begin());
    EXPECT_TRUE(parts_.workers.start());
  }
  /// Turns the loop until the outcome is there, and returns it.
  Outcome outcome_of(const std::shared_future<Outcome>& told) {
    turn_until(parts_.loop, [&] { return is_ready(told); });
    return told.get();
  }
  static bool is_ready(const std::shared_future<Outcome>& told) {
    return told.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  void add_listener(const std::string& name) {
    config::Config next = parts_.load().config;
    next.listeners.push_back(next.listeners.front());
    next.listeners.back().name = name;
    parts_.set_configuration(next);
  }
  [[nodiscard]] config::Config with_name(const std::string& host) {
    config::Config next = parts_.load().config;
    next.backends["named"] = next.backends["app"];
    next.backends["named"].name = "named";
    next.backends["named"].servers.front().address = host + ":80";
    return next;
  }

  /// begin(), with the names of backends looked up and followed as `options` say.
  void begin_with_names(const BackendWatch::Options& options) {
    auto made = BackendWatch::make(parts_.loop, parts_.inbox, parts_.directory, *parts_.log, options);
    ASSERT_TRUE(made);
    backends_ = *std::move(made);
    site_.adopted = [this](const auto& snapshot, std::function<void()> known) {
      backends_->follow(snapshot, std::move(known));
    };
    begin();
  }

  TestBackend backend_;
  ProcessParts parts_{plain_config(backend_.address())};
  Reloader::Site site_;
  std::optional<Reloader> reloader_;
  std::unique_ptr<BackendWatch> backends_;
};

TEST_F(ReloaderTest, ServesTheFirstConfiguration) {
  begin();
  const Talk client = Talk::to(parts_.sockets.addresses("web").front());
  client.say("hello");
  EXPECT_EQ(backend_.accept().hear(), "hello");
}

TEST_F(ReloaderTest, SaysWhyTheFirstConfigurationCannotBe) {
  parts_.set_configuration(parts_.load().config, {{.file = "x.yaml", .what = "no listener"}});
  site_.load = [this] { return parts_.load(); };
  reloader_.emplace(parts_.reloader_parts(), site_);
  const auto begun = reloader_->begin();
  ASSERT_FALSE(begun);
  EXPECT_TRUE(begun.error().is_of_configuration);
  EXPECT_THAT(begun.error().messages, ElementsAre("x.yaml: no listener"));
}

TEST_F(ReloaderTest, TellsWhatAReloadHasChanged) {
  begin();
  add_listener("more");
  EXPECT_EQ(outcome_of(reloader_->request()).verdict, Verdict::kDone);
  const auto& change = reloader_->last().change;
  ASSERT_TRUE(change);
  EXPECT_EQ(change->generation, 2U);
  EXPECT_THAT(change->listeners.added, ElementsAre("more"));
  EXPECT_THAT(change->listeners.changed, IsEmpty());
  EXPECT_EQ(change->text(), "listener more added");
  const Talk client = Talk::to(parts_.sockets.addresses("more").front());
  client.say("hello");
  EXPECT_EQ(backend_.accept().hear(), "hello");
}

// The workers hang, so the clients wait at their sockets when the reload comes. One of the workers is
// retired.
TEST_F(ReloaderTest, LosesNoneOfThoseWhoWaitAtAnAddressThatGoesWithAWorker) {
  begin();
  auto first = std::make_optional<Hang>(parts_.workers.at(0));
  auto second = std::make_optional<Hang>(parts_.workers.at(1));
  const Address address = parts_.sockets.addresses("web").front();
  std::vector<Talk> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(Talk::to(address));
    clients.back().say("x");
  }
  config::Config next = plain_config(backend_.address(), 1);
  next.listeners.front().name = "other";
  parts_.set_configuration(next);
  EXPECT_EQ(outcome_of(reloader_->request()).verdict, Verdict::kDone);
  first.reset();
  second.reset();
  for (std::size_t i = 0; i < clients.size(); ++i) ASSERT_EQ(backend_.accept().hear(), "x") << i;
}

/// Leaves so many descriptors free until this object ends.
class FewDescriptors {
 public:
  explicit FewDescriptors(int free) {
    HG_CHECK(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const rlimit low{256, before_.rlim_max};
    HG_CHECK(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    for (;;) {
      Fd one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!one) break;
      taken_.push_back(std::move(one));
    }
    taken_.resize(taken_.size() - static_cast<std::size_t>(free));
  }
  ~FewDescriptors() { HG_CHECK(::setrlimit(RLIMIT_NOFILE, &before_) == 0); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
  std::vector<Fd> taken_;
};

// A worker that listened on a socket of its own for which no descriptor was left ended the process.
TEST_F(ReloaderTest, IsRefusedWhereNoDescriptorIsLeftForASocketOfAWorker) {
  config::Config first = plain_config(backend_.address(), 3);
  {
    const Fd probe = *listen_on(Address::loopback(0), {});
    first.listeners.front().bind = {{.address = local_address(probe.number())}};
  }
  parts_.set_configuration(first);
  begin();
  config::Config renamed = first;
  renamed.listeners.front().name = "renamed";
  config::Config fewer = first;
  fewer.workers = 2;
  for (const config::Config& next : {renamed, fewer}) {
    parts_.set_configuration(next);
    for (const int free : {0, 1, 2}) {
      const FewDescriptors few(free);
      const Outcome outcome = outcome_of(reloader_->request());
      EXPECT_EQ(outcome.verdict, Verdict::kFailed);
      EXPECT_THAT(outcome.faults, ElementsAre(HasSubstr("Too many open files")));
    }
    EXPECT_EQ(parts_.workers.size(), 3U);
    const Talk client = Talk::to(parts_.sockets.addresses("web").front());
    client.say("hello");
    EXPECT_EQ(backend_.accept().hear(), "hello");
  }
}

TEST_F(ReloaderTest, RetiresTheWorkersOfAReloadThatFails) {
  begin();
  const Fd taken = *listen_on(Address::loopback(0), {});
  config::Config next = plain_config(backend_.address(), 4);
  next.listeners.front().bind = {{.address = local_address(taken.number())}};
  parts_.set_configuration(next);
  EXPECT_EQ(outcome_of(reloader_->request()).verdict, Verdict::kFailed);
  EXPECT_EQ(parts_.workers.size(), 2U);
}

TEST_F(ReloaderTest, SaysWhichKeysWaitForARestart) {
  begin();
  config::Config next = parts_.load().config;
  next.admin.reset();
  next.user = "nobody";
  parts_.set_configuration(next);
  const Outcome outcome = outcome_of(reloader_->request());
  EXPECT_EQ(outcome.verdict, Verdict::kDone);
  EXPECT_EQ(outcome.message, "reloaded; a restart is needed for admin.bind and user");
  EXPECT_THAT(parts_.board.copy().reload.for_restart, ElementsAre("admin.bind", "user"));
  EXPECT_EQ(outcome_of(reloader_->request()).message, outcome.message) << "it is as needed as before";
  parts_.set_configuration(plain_config(backend_.address()));
  EXPECT_EQ(outcome_of(reloader_->request()).message, "reloaded");
  EXPECT_THAT(parts_.board.copy().reload.for_restart, IsEmpty());
}

TEST_F(ReloaderTest, ChangesNothingWhereTheConfigurationIsFaulty) {
  begin();
  const auto before = reloader_->in_force();
  parts_.set_configuration(plain_config(backend_.address(), 1), {{.file = "x.yaml", .what = "wrong"}});
  const Outcome outcome = outcome_of(reloader_->request());
  EXPECT_EQ(outcome.verdict, Verdict::kFailed);
  EXPECT_THAT(outcome.faults, ElementsAre("x.yaml: wrong"));
  EXPECT_EQ(reloader_->in_force(), before);
  EXPECT_FALSE(reloader_->last().change);
  EXPECT_EQ(parts_.board.copy().reload.failed, 1U);
}

TEST_F(ReloaderTest, ReadsOnAThreadOfItsOwnAndSharesTheNextReload) {
  auto gate = std::make_shared<Gate>();
  std::atomic<int> loads{0};
  site_.load = [&, gate] {
    if (loads++ > 0) gate->wait();
    return parts_.load();
  };
  begin_with_site();
  const auto first = reloader_->request();
  turn_until(parts_.loop, [&] { return gate->here() == 1; });  // the loop turns while the files are read
  const auto second = reloader_->request();
  const auto third = reloader_->request();
  EXPECT_FALSE(is_ready(first));
  gate->open();
  EXPECT_EQ(outcome_of(first).verdict, Verdict::kDone);
  EXPECT_EQ(outcome_of(second).verdict, Verdict::kDone);
  EXPECT_TRUE(is_ready(third));
  EXPECT_EQ(loads, 3) << "the start, the first reload, and one for the two that waited";
}

TEST_F(ReloaderTest, IsRefusedWhereADrainBeginsWhileFilesAreRead) {
  auto gate = std::make_shared<Gate>();
  std::atomic<int> loads{0};
  bool draining = false;
  site_.load = [&, gate] {
    if (loads++ > 0) gate->wait();
    return parts_.load();
  };
  site_.refusal = [&] { return std::string(draining ? "the process is draining" : ""); };
  begin_with_site();
  const auto told = reloader_->request();
  turn_until(parts_.loop, [&] { return gate->here() == 1; });
  draining = true;
  gate->open();
  EXPECT_EQ(outcome_of(told).verdict, Verdict::kRefused);
  EXPECT_EQ(reloader_->in_force()->generation, 1U);
  const ReloadReport report = parts_.board.copy().reload;
  EXPECT_EQ(report.failed, 1U);
  EXPECT_THAT(report.faults, ElementsAre("the process is draining"));
}

// The process before an upgrade told of a fault when a file changed that only its successor had to read.
TEST_F(ReloaderTest, IsNoFaultOfADrainWhereNobodyAskedForIt) {
  site_.refusal = [] { return std::string("the process is draining"); };
  begin();
  reloader_->files_changed({"x.pem"});
  bool turned = false;
  parts_.inbox.post([&] { turned = true; });
  turn_until(parts_.loop, [&] { return turned; });
  EXPECT_EQ(parts_.board.copy().reload.failed, 0U);
  EXPECT_EQ(outcome_of(reloader_->request()).verdict, Verdict::kRefused);
  EXPECT_EQ(parts_.board.copy().reload.failed, 1U);
}

TEST_F(ReloaderTest, IsInForceAtOnceAndToldWhenNamesAreKnown) {
  std::function<void()> known;
  site_.adopted = [&](const auto&, std::function<void()> when_known) { known = std::move(when_known); };
  begin();
  const auto told = reloader_->request();
  turn_until(parts_.loop, [&] { return static_cast<bool>(known); });
  EXPECT_EQ(reloader_->in_force()->generation, 2U);
  EXPECT_FALSE(is_ready(told));
  known();
  ASSERT_TRUE(is_ready(told));
  EXPECT_EQ(told.get().verdict, Verdict::kDone);
}

TEST_F(ReloaderTest, DoesNotWaitForNamesWhenAnotherReloadIsWanted) {
  std::vector<std::function<void()>> known;
  site_.adopted = [&](const auto&, std::function<void()> when_known) {
    known.push_back(std::move(when_known));
  };
  begin();
  const auto first = reloader_->request();
  turn_until(parts_.loop, [&] { return known.size() == 1; });
  const auto second = reloader_->request();
  turn_until(parts_.loop, [&] { return known.size() == 2; });
  EXPECT_TRUE(is_ready(first));
  known[0]();
  EXPECT_FALSE(is_ready(second)) << "the names of the first say nothing of the second";
  known[1]();
  EXPECT_TRUE(is_ready(second));
}

TEST_F(ReloaderTest, TellsWhoeverWaitsThatTheProcessEnds) {
  auto gate = std::make_shared<Gate>();
  std::atomic<int> loads{0};
  site_.load = [&, gate] {
    if (loads++ > 0) gate->wait();
    return parts_.load();
  };
  begin_with_site();
  const auto under_way = reloader_->request();
  turn_until(parts_.loop, [&] { return gate->here() == 1; });
  const auto waiting = reloader_->request();
  reloader_->end();
  EXPECT_EQ(under_way.get().verdict, Verdict::kRefused);
  EXPECT_EQ(waiting.get().verdict, Verdict::kRefused);
  EXPECT_EQ(reloader_->request().get().verdict, Verdict::kRefused);
  gate->open();
}

TEST_F(ReloaderTest, MayEndWhileFilesAreRead) {
  auto gate = std::make_shared<Gate>();
  std::atomic<int> loads{0};
  site_.load = [&, gate] {
    if (loads++ > 0) gate->wait();
    return parts_.load();
  };
  begin_with_site();
  static_cast<void>(reloader_->request());
  turn_until(parts_.loop, [&] { return gate->here() == 1; });
  gate->open();
  reloader_.reset();
  parts_.loop.run_once();  // the posted closure finds no reloader, and does nothing
}

TEST_F(ReloaderTest, RetiresWorkersAndBringsThemBackWithConnectionsOpen) {
  begin();
  const Talk client = Talk::to(parts_.sockets.addresses("web").front());
  client.say("one");
  const Talk server = backend_.accept();
  EXPECT_EQ(server.hear(), "one");
  for (const int workers : {1, 3, 2}) {
    config::Config next = parts_.load().config;
    next.workers = workers;
    parts_.set_configuration(next);
    EXPECT_EQ(outcome_of(reloader_->request()).verdict, Verdict::kDone);
    parts_.workers.tick(Clock::now());
    EXPECT_EQ(parts_.workers.size(), static_cast<std::size_t>(workers));
    client.say("still");
    EXPECT_EQ(server.hear(), "still");
  }
}

/// A name server that never answers.
class SilentNameServer {
 public:
  SilentNameServer() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const Address any = Address::loopback(0);
    EXPECT_EQ(::bind(socket_.number(), any.data(), any.size_bytes()), 0);
  }
  [[nodiscard]] std::string address() const { return local_address(socket_.number()).text(); }

 private:
  Fd socket_;
};

TEST_F(ReloaderTest, GoesOnWhileANameServerDoesNotAnswer) {
  SilentNameServer silent;
  begin_with_names({.names = {.name_servers = silent.address()}, .patience = 1h});
  parts_.set_configuration(with_name("app.test"));
  const auto first = reloader_->request();
  turn_until(parts_.loop, [&] { return reloader_->in_force()->generation == 2; });
  EXPECT_FALSE(is_ready(first));
  const auto second = reloader_->request();
  turn_until(parts_.loop, [&] { return reloader_->in_force()->generation == 3; });
  EXPECT_TRUE(is_ready(first));
  EXPECT_FALSE(is_ready(second));
  reloader_->end();
  EXPECT_EQ(second.get().verdict, Verdict::kDone) << "it is in force";
}

TEST_F(ReloaderTest, HasPatienceWithNamesForAWhileOnly) {
  SilentNameServer silent;
  begin_with_names({.names = {.name_servers = silent.address()}, .patience = 20ms});
  parts_.set_configuration(with_name("app.test"));
  EXPECT_EQ(outcome_of(reloader_->request()).verdict, Verdict::kDone);
}

TEST_F(ReloaderTest, IsToldOfNamesThatAreKnown) {
  begin_with_names({.patience = 1h});
  parts_.set_configuration(with_name("localhost"));
  EXPECT_EQ(outcome_of(reloader_->request()).verdict, Verdict::kDone);
  const auto& servers = reloader_->in_force()->backends.at("named").group->servers;
  EXPECT_THAT(*servers.front().state->addresses(), testing::Not(IsEmpty()));
}

}  // namespace
}  // namespace headgate
