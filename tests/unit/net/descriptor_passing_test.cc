#include "net/descriptor_passing.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <thread>

#include <gtest/gtest.h>

namespace headgate {
namespace {

class DescriptorPassing : public testing::Test {
 protected:
  DescriptorPassing() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    sender_ = Fd(ends[0]);
    receiver_ = Fd(ends[1]);
  }
  static std::vector<std::byte> some_bytes(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 31 + i / 251);
    return bytes;
  }
  static bool is_same_file(int a, int b) {
    struct stat first{}, second{};
    fstat(a, &first);
    fstat(b, &second);
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
  }
  void send_raw(std::span<const std::byte> bytes) {
    EXPECT_EQ(::send(sender_.number(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }

  Fd sender_, receiver_;
};

TEST_F(DescriptorPassing, BytesAndDescriptorsArriveTogetherAndInOrder) {
  int pipe_ends[2] = {-1, -1};
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  const Fd first(pipe_ends[0]), null(open("/dev/null", O_RDONLY | O_CLOEXEC)), last(pipe_ends[1]);
  const auto bytes = some_bytes(1000);
  ASSERT_TRUE(send_with_descriptors(sender_.number(), bytes, std::array{first.number(), null.number()}));
  ASSERT_TRUE(send_with_descriptors(sender_.number(), {}, {}));
  const auto message = receive_with_descriptors(receiver_.number());
  ASSERT_TRUE(message);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), message->bytes.begin(), message->bytes.end()));
  ASSERT_EQ(message->descriptors.size(), 2U);
  EXPECT_TRUE(is_same_file(message->descriptors[0].number(), first.number()));
  EXPECT_TRUE(is_same_file(message->descriptors[1].number(), null.number()));
  EXPECT_TRUE(fcntl(message->descriptors[0].number(), F_GETFD) & FD_CLOEXEC);
  const auto empty = receive_with_descriptors(receiver_.number());
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->bytes.empty() && empty->descriptors.empty());
}

TEST_F(DescriptorPassing, AMessageMayBeLargerThanTheSocketHolds) {
  const auto bytes = some_bytes(kMaxPassedBytes);
  const std::vector<int> descriptors(kMaxPassedDescriptors, sender_.number());
  std::thread sending([&] { EXPECT_TRUE(send_with_descriptors(sender_.number(), bytes, descriptors)); });
  const auto message = receive_with_descriptors(receiver_.number());
  sending.join();
  ASSERT_TRUE(message);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), message->bytes.begin(), message->bytes.end()));
  EXPECT_EQ(message->descriptors.size(), kMaxPassedDescriptors);
}

TEST_F(DescriptorPassing, AMessageThatIsTooLargeIsAnErrorAndNothingOfItIsSent) {
  const auto bytes = some_bytes(kMaxPassedBytes + 1);
  const std::vector<int> descriptors(kMaxPassedDescriptors + 1, sender_.number());
  EXPECT_EQ(send_with_descriptors(sender_.number(), bytes, {}).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(send_with_descriptors(sender_.number(), {}, descriptors).error().kind, ErrorKind::kInvalid);
  ASSERT_TRUE(send_with_descriptors(sender_.number(), some_bytes(10), {}));
  EXPECT_EQ(receive_with_descriptors(receiver_.number())->bytes.size(), 10U);
}

TEST_F(DescriptorPassing, AnEndBetweenMessagesIsToldFromOneWithin) {
  const std::array<std::uint32_t, 2> preamble{100, 0};
  send_raw(std::as_bytes(std::span(preamble)));
  sender_.close();
  EXPECT_EQ(receive_with_descriptors(receiver_.number()).error().kind, ErrorKind::kIncomplete);
  EXPECT_EQ(receive_with_descriptors(receiver_.number()).error().kind, ErrorKind::kNotFound);
}

TEST_F(DescriptorPassing, RefusesWhatNoSenderAnnounces) {
  const std::array<std::uint32_t, 2> too_large{0xffffffff, 0};
  send_raw(std::as_bytes(std::span(too_large)));
  EXPECT_EQ(receive_with_descriptors(receiver_.number()).error().kind, ErrorKind::kMalformed);
  const std::array<std::uint32_t, 2> descriptors_missing{0, 2};
  send_raw(std::as_bytes(std::span(descriptors_missing)));
  EXPECT_EQ(receive_with_descriptors(receiver_.number()).error().kind, ErrorKind::kMalformed);
}

TEST_F(DescriptorPassing, WaitsNoLongerThanTheSocketSays) {
  const timeval patience{0, 1000};
  setsockopt(receiver_.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  EXPECT_EQ(receive_with_descriptors(receiver_.number()).error().kind, ErrorKind::kSystem);
}

TEST_F(DescriptorPassing, SendingToAProcessThatEndedIsAnErrorAndNoSignal) {
  receiver_.close();
  EXPECT_EQ(send_with_descriptors(sender_.number(), some_bytes(10), {}).error().kind, ErrorKind::kSystem);
}

}  // namespace
}  // namespace headgate
