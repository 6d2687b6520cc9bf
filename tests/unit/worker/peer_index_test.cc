#include "worker/peer_index.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

using std::chrono::seconds;

IssuedKey certificate(int number) {
  IssuedKey key{};
  key[0] = static_cast<std::byte>(number);
  return key;
}

PeerIdentity peer(std::vector<IssuedKey> chain, WallTime not_after = WallTime::max()) {
  PeerIdentity identity;
  identity.chain = std::move(chain);
  identity.not_after = not_after;
  return identity;
}

const IssuedKey kAdmission = certificate(100);
const WallTime kNow = WallTime(seconds(1'000'000));

TEST(PeerIndex, FindsEveryConnectionWithACertificateInOrderOfId) {
  PeerIndex index;
  index.add(7, peer({certificate(1)}), kAdmission);
  index.add(3, peer({certificate(1)}), kAdmission);
  index.add(5, peer({certificate(2)}), kAdmission);
  EXPECT_EQ(index.find_concerned(certificate(1), 0), 3U);
  EXPECT_EQ(index.find_concerned(certificate(1), 4), 7U);
  EXPECT_EQ(index.find_concerned(certificate(1), 8), std::nullopt);
  EXPECT_EQ(index.find_concerned(certificate(3), 0), std::nullopt);
}

TEST(PeerIndex, FindsAConnectionByTheIntermediatesOfItsChain) {
  PeerIndex index;
  index.add(3, peer({certificate(1), certificate(9)}), kAdmission);
  EXPECT_EQ(index.find_concerned(certificate(9), 0), 3U);
}

TEST(PeerIndex, TellsOnceWhoHasExpired) {
  PeerIndex index;
  index.add(1, peer({certificate(1)}, kNow + seconds(1)), kAdmission);
  index.add(2, peer({certificate(2)}, kNow - seconds(1)), kAdmission);
  index.add(3, peer({certificate(3)}, kNow), kAdmission);
  EXPECT_EQ(index.take_expired(kNow), 2U);
  EXPECT_EQ(index.take_expired(kNow), 3U);
  EXPECT_EQ(index.take_expired(kNow), std::nullopt);
  EXPECT_EQ(index.take_expired(kNow + seconds(1)), 1U);
}

TEST(PeerIndex, ForgetsAConnectionThatIsRemoved) {
  PeerIndex index;
  const PeerIdentity gone = peer({certificate(1), certificate(9)}, kNow), stays = peer({certificate(1)});
  index.add(1, gone, kAdmission);
  index.add(2, stays, kAdmission);
  index.remove(1, gone, kAdmission);
  EXPECT_EQ(index.find_concerned(certificate(1), 0), 2U);
  EXPECT_EQ(index.find_concerned(certificate(9), 0), std::nullopt);
  EXPECT_EQ(index.take_expired(kNow), std::nullopt);
}

TEST(PeerIndex, FindsAConnectionByWhatItsChainIsTrustedForItsIssuerAndWhatAdmitsIt) {
  PeerIndex index;
  PeerIdentity one = peer({certificate(1)});
  one.trust = {certificate(20), certificate(21)};
  one.issued_by = certificate(30);
  index.add(4, one, certificate(40));
  for (const int key : {20, 21, 30, 40}) EXPECT_EQ(index.find_concerned(certificate(key), 0), 4U) << key;
  index.admit(4, certificate(40), certificate(41));
  EXPECT_EQ(index.find_concerned(certificate(40), 0), std::nullopt);
  EXPECT_EQ(index.find_concerned(certificate(41), 0), 4U);
  index.remove(4, one, certificate(41));
  for (const int key : {20, 21, 30, 41})
    EXPECT_EQ(index.find_concerned(certificate(key), 0), std::nullopt) << key;
}

}  // namespace
}  // namespace headgate
