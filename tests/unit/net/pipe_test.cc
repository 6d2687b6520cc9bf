#include "net/pipe.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/plain_stream.h"

namespace {

/// After how many calls of splice(2) one fails with EPIPE, after a call that moves half: 0, never.
int calls_before_broken_pipe = 0;

}  // namespace

// In place of libc's, for one test.
extern "C" ssize_t splice(int from, off64_t* from_offset, int to, off64_t* to_offset, std::size_t size,
                          unsigned flags) {
  if (calls_before_broken_pipe > 0) {
    if (--calls_before_broken_pipe == 0) {
      errno = EPIPE;
      return -1;
    }
    if (calls_before_broken_pipe == 1) size /= 2;
  }
  return ::syscall(SYS_splice, from, from_offset, to, to_offset, size, flags);
}

namespace headgate {
namespace {

/// Two connected stream sockets.
struct SocketPair {
  SocketPair() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    one = Fd(ends[0]);
    other = Fd(ends[1]);
  }
  Fd one, other;
};

std::string received_by(const Fd& socket) {
  std::string text(1 << 20, '\0');
  const ssize_t size = ::recv(socket.number(), text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

/// Writes until the socket takes no more, and returns how much it took.
std::size_t fill(const Fd& socket) {
  const std::string bytes(4096, 'f');
  std::size_t taken = 0;
  for (ssize_t n = 0; (n = ::send(socket.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL)) > 0;)
    taken += static_cast<std::size_t>(n);
  return taken;
}

/// From a source to a destination, through plain streams. The peers are the far ends.
struct SpliceTest : ::testing::Test {
  SpliceTest() { std::signal(SIGPIPE, SIG_IGN); }

  void send(std::string_view text) {
    ASSERT_EQ(::send(source.other.number(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }

  PipePool pipes;
  SocketPair source, destination;
  PlainStream from{std::move(source.one)};
  PlainStream to{std::move(destination.one)};
};

TEST_F(SpliceTest, MovesWhatHasArrived) {
  send("hello");
  const auto spliced = to.splice_from(from, pipes);
  ASSERT_TRUE(spliced.has_value());
  EXPECT_EQ(spliced->read.status, IoStatus::kDone);
  EXPECT_EQ(spliced->read.size_bytes, 5U);
  EXPECT_EQ(spliced->written, IoStatus::kDone);
  EXPECT_EQ(received_by(destination.other), "hello");
  EXPECT_EQ(to.unsent_bytes(), 0U);
  EXPECT_EQ(pipes.lent(), 0U);
}

TEST_F(SpliceTest, WaitsWhileNothingHasArrivedAndTellsTheEnd) {
  EXPECT_EQ(to.splice_from(from, pipes)->read.status, IoStatus::kWantRead);
  source.other.close();
  EXPECT_EQ(to.splice_from(from, pipes)->read.status, IoStatus::kEnded);
  EXPECT_EQ(pipes.lent(), 0U);
}

TEST_F(SpliceTest, TellsThatTheDestinationIsGoneAndClosesThePipeWithItsBytes) {
  send("nobody gets this");
  destination.other.close();
  EXPECT_EQ(to.splice_from(from, pipes)->written, IoStatus::kFailed);
  EXPECT_EQ(to.failure().kind, FailureKind::kReset);
  EXPECT_EQ(pipes.lent(), 0U);
  EXPECT_FALSE(pipes.give_up_descriptors());
}

// A reset that comes inside a splice is told by a short count, and then by EPIPE, as a FIN before it is.
TEST_F(SpliceTest, TakesABrokenPipeBehindAShortCountForAReset) {
  for (const int calls : {2, 3}) {
    send("hello");
    calls_before_broken_pipe = calls;  // the first takes from the source
    EXPECT_EQ(to.splice_from(from, pipes)->written, IoStatus::kFailed);
    EXPECT_EQ(to.failure().error, calls == 2 ? EPIPE : ECONNRESET);
  }
}

TEST_F(SpliceTest, KeepsWhatTheDestinationDoesNotTakeInAPipe) {
  const std::size_t before = fill(Fd(::dup(to.descriptor())));
  send("later");
  EXPECT_EQ(to.splice_from(from, pipes)->written, IoStatus::kWantWrite);
  EXPECT_EQ(to.unsent_bytes(), 5U);
  EXPECT_EQ(pipes.lent(), 1U);
  EXPECT_EQ(to.flush(), IoStatus::kWantWrite);
  std::size_t got = 0;
  while (got < before) got += received_by(destination.other).size();
  EXPECT_EQ(got, before);
  EXPECT_EQ(to.flush(), IoStatus::kDone);
  EXPECT_EQ(received_by(destination.other), "later");
  EXPECT_EQ(to.unsent_bytes(), 0U);
  EXPECT_EQ(pipes.lent(), 0U);
}

TEST_F(SpliceTest, TakesThePipesBytesIntoMemoryForTheNextProcess) {
  fill(Fd(::dup(to.descriptor())));
  send("handed over");
  EXPECT_EQ(to.splice_from(from, pipes)->written, IoStatus::kWantWrite);
  EXPECT_TRUE(to.unsent().empty());
  to.leave_pipe();
  const auto unsent = to.unsent();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(unsent.data()), unsent.size()), "handed over");
  EXPECT_EQ(to.unsent_bytes(), 11U);
  EXPECT_EQ(pipes.lent(), 0U);
  to.leave_pipe();
  EXPECT_EQ(to.unsent_bytes(), 11U);
}

TEST_F(SpliceTest, AnEndComesBehindTheBytesInThePipe) {
  const std::size_t before = fill(Fd(::dup(to.descriptor())));
  send("the last");
  EXPECT_EQ(to.splice_from(from, pipes)->written, IoStatus::kWantWrite);
  EXPECT_EQ(to.end_writing(), IoStatus::kWantWrite);
  std::size_t got = 0;
  while (got < before) got += received_by(destination.other).size();
  EXPECT_EQ(to.end_writing(), IoStatus::kDone);
  EXPECT_EQ(received_by(destination.other), "the last");
  EXPECT_EQ(received_by(destination.other), "");
}

TEST_F(SpliceTest, AStreamThatDiesWithBytesInAPipeGivesThePipeBack) {
  fill(Fd(::dup(to.descriptor())));
  send("lost with its stream");
  {
    PlainStream dying(Fd(::dup(to.descriptor())));
    EXPECT_EQ(dying.splice_from(from, pipes)->written, IoStatus::kWantWrite);
    EXPECT_EQ(pipes.lent(), 1U);
  }
  EXPECT_EQ(pipes.lent(), 0U);
  EXPECT_FALSE(pipes.give_up_descriptors());  // its bytes would have come first in the next flow
}

TEST_F(SpliceTest, MovesNothingWithoutADescriptorForAPipe) {
  send("kept");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool spliced = to.splice_from(from, pipes).has_value();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(spliced);
  EXPECT_EQ(pipes.lent(), 0U);
  EXPECT_EQ(to.splice_from(from, pipes)->read.size_bytes, 4U);
}

TEST(PipePool, LendsABoundedNumberAndKeepsAFew) {
  PipePool pipes;
  std::vector<PipeLoan> loans;
  for (std::size_t i = 0; i < PipePool::kMostPipes; ++i) {
    loans.push_back(pipes.borrow());
    ASSERT_NE(loans.back(), nullptr);
  }
  EXPECT_EQ(pipes.borrow(), nullptr);
  EXPECT_EQ(pipes.lent(), PipePool::kMostPipes);
  const Fd lowest(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  loans.clear();
  EXPECT_EQ(pipes.lent(), 0U);
  const Fd now(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_LT(now.number(), lowest.number());
  EXPECT_TRUE(pipes.give_up_descriptors());
  EXPECT_FALSE(pipes.give_up_descriptors());
  EXPECT_NE(pipes.borrow(), nullptr);
}

TEST(Pipe, SaysThatItCannotTakeFromWhatIsNoSocket) {
  PipePool pipes;
  const Fd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const SocketIo got = pipes.borrow()->take_from(directory.number());
  EXPECT_EQ(got.status, IoStatus::kFailed);
  EXPECT_EQ(got.error, EINVAL);
}

}  // namespace
}  // namespace headgate
