#include <gtest/gtest.h>

#include "unit/cli/importing.h"

namespace headgate {
namespace {

constexpr std::string_view kScript = R"(#!/bin/sh
# in front of the service
exec ghostunnel server --listen :8443 --target "127.0.0.1:80" \
    --keystore=/x.pem --cacert '/ca.pem' \
    --allow-cn web --allow-uri spiffe://prod/*
)";
constexpr std::string_view kManifest = R"(spec:
  containers:
    - image: x
      args: ["client", "--listen", "127.0.0.1:1",
             "--target=h:2", '--disable-authentication']
    - args:
        - server
        - --listen=:3
        - "--target=127.0.0.1:4"  # beside it
        - --keystore=/x.pem
        - --disable-authentication
)";
constexpr std::string_view kUnit = R"([Service]
ExecStart=-/usr/bin/ghostunnel client --listen localhost:1 \
  --target h:2 --disable-authentication
Restart=always
)";

TEST(ImportGhostunnel, TakesAServerWithItsRulesForClients) {
  const Imported imported = import_ghostunnel({kScript});
  EXPECT_EQ(faults_of(imported), "");
  EXPECT_TRUE(imported.remarks.empty()) << remarks_of(imported);
  ASSERT_EQ(imported.config.listeners.size(), 1u);
  const config::ClientAuth& auth = imported.config.listeners[0].tls->client_auth;
  EXPECT_EQ(auth.mode, config::ClientAuthMode::kRequired);
  EXPECT_EQ(auth.allow.common_name, std::vector<std::string>{"web"});
  EXPECT_EQ(auth.allow.uri, std::vector<std::string>{"spiffe://prod/*"});
}

TEST(ImportGhostunnel, ReadsListsOfArgumentsInBracketsAndInLines) {
  const Imported imported = import_ghostunnel({kManifest});
  EXPECT_EQ(faults_of(imported), "");
  ASSERT_EQ(imported.config.listeners.size(), 2u) << remarks_of(imported);
  EXPECT_EQ(imported.config.listeners[0].name, "client");
  EXPECT_TRUE(imported.config.backends.at("client").tls);
  EXPECT_EQ(imported.config.listeners[1].tls->client_auth.mode, config::ClientAuthMode::kNone);
  EXPECT_EQ(imported.config.backends.at("server").servers[0].address, "127.0.0.1:4");
}

TEST(ImportGhostunnel, ReadsTheCommandOfAUnit) {
  const Imported imported = import_ghostunnel({kUnit});
  EXPECT_EQ(faults_of(imported), "");
  EXPECT_EQ(remarks_of(imported), "4 note: left out: it is no command line of ghostunnel\n");
}

TEST(ImportGhostunnel, SurvivesEveryPrefixAndEveryDamagedByte) {
  for (const std::string_view text : {kScript, kManifest, kUnit}) import_damaged(import_ghostunnel, text);
}

}  // namespace
}  // namespace headgate
