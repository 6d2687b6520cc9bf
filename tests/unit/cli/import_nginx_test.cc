#include <gtest/gtest.h>

#include "unit/cli/importing.h"

namespace headgate {
namespace {

constexpr std::string_view kNginxFile = R"(user www-data;
worker_processes 4;
events { worker_connections 1024; }
stream {
    map $ssl_preread_server_name $target {
        hostnames;
        default      rest;
        .example.com web;
        "api.test"   192.0.2.7:443;
    }
    upstream rest { server 192.0.2.1:443; }
    upstream web { least_conn; server 192.0.2.2:443 weight=3; }
    server {
        listen 443;
        ssl_preread on;
        proxy_pass $target;
    }
    server {
        listen [::]:5432 ssl;  # the database
        ssl_certificate /etc/ssl/a.pem;
        ssl_certificate_key /etc/ssl/a.key;
        ssl_protocols TLSv1.3;
        ssl_verify_client on;
        ssl_client_certificate /etc/ssl/ca.pem;
        allow 2001:db8::/32;
        deny all;
        proxy_pass unix:/run/postgresql/.s.PGSQL.5432;
    }
}
)";

TEST(ImportNginx, TakesServersWithTheirTlsAndSources) {
  const Imported imported = import_nginx({kNginxFile});
  EXPECT_EQ(faults_of(imported), "");
  EXPECT_EQ(imported.config.user, "www-data");
  EXPECT_EQ(imported.config.group, "www-data");
  EXPECT_EQ(imported.config.workers, 4);
  ASSERT_EQ(imported.config.listeners.size(), 2u);
  const config::Listener& database = imported.config.listeners[1];
  EXPECT_TRUE(database.bind[0].ipv6_only);
  ASSERT_TRUE(database.tls);
  EXPECT_EQ(database.tls->min_version, config::TlsVersion::kTls13);
  EXPECT_EQ(database.tls->client_auth.mode, config::ClientAuthMode::kRequired);
  EXPECT_EQ(database.tls->client_auth.ca, "/etc/ssl/ca.pem");
  ASSERT_EQ(database.allow.size(), 1u);
  EXPECT_EQ(database.allow[0].text(), "2001:db8::/32");
}

TEST(ImportNginx, TurnsAMapIntoRoutesWithWholeNamesFirst) {
  const Imported imported = import_nginx({kNginxFile});
  const config::Listener& router = imported.config.listeners[0];
  EXPECT_FALSE(router.tls);
  ASSERT_EQ(router.routes.size(), 4u);
  EXPECT_EQ(router.routes[0].sni, std::vector<std::string>{"example.com"});
  EXPECT_EQ(router.routes[1].sni, std::vector<std::string>{"api.test"});
  EXPECT_EQ(router.routes[2].sni, std::vector<std::string>{"*.example.com"});
  EXPECT_EQ(router.routes[3].sni, std::vector<std::string>{"*"});
  for (const config::Route& route : router.routes) EXPECT_TRUE(route.passthrough);
  EXPECT_EQ(imported.config.backends.at("web").servers[0].weight, 3u);
}

TEST(ImportNginx, ReadsQuotesEscapesAndVariablesInBraces) {
  const Imported imported = import_nginx({R"(stream { server { listen 1; proxy_pass "unix:/run/a b"; } }
stream { server { listen 2; proxy_pass 'unix:/run/\'c'; access_log ${x}; } }
)"});
  ASSERT_EQ(imported.config.listeners.size(), 2u);
  EXPECT_EQ(imported.config.backends.at("unix").servers[0].address, "unix:/run/a b");
  EXPECT_EQ(imported.config.backends.at("unix-2").servers[0].address, "unix:/run/'c");
}

TEST(ImportNginx, NamesWhatHasNoEqualWithItsLine) {
  const std::string remarks = remarks_of(import_nginx({kNginxFile}));
  EXPECT_NE(remarks.find("8 error: map: \"*.\" stands for one label"), std::string::npos) << remarks;
  EXPECT_NE(remarks.find("3 note: events"), std::string::npos) << remarks;
}

TEST(ImportNginx, SurvivesEveryPrefixAndEveryDamagedByte) {
  import_damaged(import_nginx, kNginxFile);
}

}  // namespace
}  // namespace headgate
