#include "config/included.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "config/show.h"
#include "unit/config/loading.h"

namespace headgate::config {
namespace {

namespace fs = std::filesystem;

/// A directory with a configuration of several files.
class IncludedTest : public testing::Test {
 protected:
  IncludedTest() {
    std::string name = (fs::temp_directory_path() / "included.XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    fs::create_directory(directory_ / "conf.d");
  }
  ~IncludedTest() override { fs::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }
  [[nodiscard]] Loaded load_main(const std::string& text = "include: conf.d\n") const {
    write("main.yaml", text);
    return load_file((directory_ / "main.yaml").string());
  }
  /// The faults of the main file with this text, one in a line, without the name of the directory.
  [[nodiscard]] std::string faults(const std::string& text = "include: conf.d\n") const {
    std::string lines = fault_lines(load_main(text));
    const std::string name = directory_.string() + '/';
    for (std::size_t at = 0; (at = lines.find(name)) != lines.npos;) lines.erase(at, name.size());
    return lines;
  }

  fs::path directory_;
};

std::string a_listener(const std::string& name, const std::string& port, const std::string& backend) {
  return "listeners:\n  - name: " + name + "\n    bind: \":" + port + "\"\n    backend: " + backend + '\n';
}

std::string a_backend(const std::string& name) {
  return "backends:\n  " + name + ":\n    servers: 127.0.0.1:80\n";
}

TEST_F(IncludedTest, FilesOfADirectoryAreReadInTheOrderOfTheirNames) {
  write("conf.d/20-b.yaml", a_listener("b", "2", "one"));
  write("conf.d/10-a.yaml", a_listener("a", "1", "one") + a_backend("one"));
  write("conf.d/9-c.yaml", a_listener("c", "3", "one"));
  const Loaded loaded = load_main(a_listener("m", "9", "one") + "include: conf.d\nworkers: 2\n");
  EXPECT_EQ(fault_lines(loaded), "");
  std::string names;
  for (const Listener& listener : loaded.config.listeners) names += listener.name;
  EXPECT_EQ(names, "mabc");
  EXPECT_EQ(loaded.config.workers, 2);
  EXPECT_EQ(loaded.sources.include, std::vector<std::string>{(directory_ / "conf.d").string()});
}

TEST_F(IncludedTest, FilesGiveTheSameAsOneFile) {
  write("conf.d/a.yaml", a_listener("a", "1", "one") + "log: {level: debug}\n");
  write("conf.d/b.yaml", a_backend("one"));
  const Loaded loaded = load_main();
  EXPECT_EQ(fault_lines(loaded), "");
  EXPECT_EQ(loaded.config,
            load("log: {level: debug}\n" + a_listener("a", "1", "one") + a_backend("one")).config);
  EXPECT_EQ(load(show(loaded.config)).config, loaded.config);
}

TEST_F(IncludedTest, FilesAndDirectoriesMayBeListed) {
  write("one.conf", a_backend("one"));
  write("conf.d/a.yaml", a_listener("a", "1", "one"));
  EXPECT_EQ(faults("include: [one.conf, conf.d]\n"), "");
  EXPECT_EQ(faults("include: [" + (directory_ / "one.conf").string() + ", conf.d]\n"), "");
}

TEST_F(IncludedTest, PathsAreRelativeToTheFileThatTheyAreWrittenIn) {
  write("conf.d/a.yaml",
        a_listener("a", "1", "one") + "    tls: {certificates: [a.pem]}\n" + a_backend("one"));
  const Loaded loaded =
      load_main(a_listener("m", "2", "one") + "    tls: {certificates: [m.pem]}\ninclude: conf.d\n");
  ASSERT_EQ(fault_lines(loaded), "");
  EXPECT_EQ(loaded.config.listeners[0].tls->certificates[0].certificate, (directory_ / "m.pem").string());
  EXPECT_EQ(loaded.config.listeners[1].tls->certificates[0].certificate,
            (directory_ / "conf.d/a.pem").string());
}

TEST_F(IncludedTest, OtherNamesArePassedOver) {
  write("conf.d/a.yaml", a_listener("a", "1", "one") + a_backend("one"));
  for (const char* name : {".hidden.yaml", "a.yaml~", "#a.yaml#", ".#a.yaml", "a.yaml.bak", "a.yaml.dpkg-new",
                           ".a.yaml.swp", "README", "a.conf", ".yaml"}) {
    write("conf.d/" + std::string(name), "not a configuration [");
  }
  EXPECT_EQ(faults(), "");
  write("conf.d/b.yml", "not a configuration [");
  write("conf.d/c.YAML", "not a configuration [");
  EXPECT_EQ(faults(),
            "main.yaml:1:10: include[0]: warning: \"conf.d/b.yml\" is passed over: only names that end in "
            ".yaml are "
            "read\n"
            "main.yaml:1:10: include[0]: warning: \"conf.d/c.YAML\" is passed over: only names that end in "
            ".yaml are "
            "read\n");
}

TEST_F(IncludedTest, FaultsAreAtTheirPlacesInEachFile) {
  write("conf.d/a.yaml", "listeners:\n  - bind: ':1'\n    backned: one\n    backend: one\n    backlog: 0\n");
  write("conf.d/b.yaml", "backends:\n  one:\n    servers: nowhere\n");
  EXPECT_EQ(faults("workers: -1\ninclude: conf.d\n"),
            "main.yaml:1:10: workers: \"-1\" is not a number of workers; write \"auto\" or 1 to 1024\n"
            "conf.d/a.yaml:3:5: listeners[0].backned: unknown key; did you mean \"backend\"?\n"
            "conf.d/a.yaml:5:14: listeners[0].backlog: \"0\" is out of range; write one from 1 to 65535\n"
            "conf.d/b.yaml:3:14: backends.one.servers[0].address: \"nowhere\" is not a server; write "
            "\"host:port\", "
            "\"[2001:db8::1]:8080\" or \"unix:/run/app.sock\"\n");
}

TEST_F(IncludedTest, ReferencesGoFromAnyFileToAnyOther) {
  write("conf.d/a.yaml", a_listener("a", "1", "two") + "    routes: [{sni: a.test, backend: on}]\n");
  write("conf.d/b.yaml", a_backend("one"));
  EXPECT_EQ(faults(a_backend("two") + "include: conf.d\n"),
            "conf.d/a.yaml:5:37: listeners[0].routes[0].backend: there is no backend \"on\"; did you mean "
            "\"one\"?\n");
  write("conf.d/a.yaml", a_listener("a", "1", "two"));
  EXPECT_EQ(faults(a_backend("two") + "include: conf.d\n"),
            "conf.d/b.yaml:2:3: backends.one: warning: this backend is not used: no listener and no route "
            "names it\n");
}

TEST_F(IncludedTest, WhatIsThereTwiceIsAFaultThatNamesBothPlaces) {
  write("conf.d/a.yaml", a_listener("web", "1", "one") + a_backend("one") + "workers: 1\n");
  write("conf.d/b.yaml", a_listener("web", "1", "one") + a_backend("one") + "workers: 1\n");
  EXPECT_EQ(faults(),
            "conf.d/b.yaml:2:11: listeners[1].name: \"web\" is the name of listeners[0] (conf.d/a.yaml:2:11) "
            "already; "
            "each listener needs its own\n"
            "conf.d/b.yaml:3:11: listeners[1].bind[0]: \"[::]:1\" is bound by listeners[0].bind[0] "
            "(conf.d/a.yaml:3:11) already; give it another port\n"
            "conf.d/b.yaml:6:3: backends.one: is given at conf.d/a.yaml:6:3 already; keep one\n"
            "conf.d/b.yaml:8:1: workers: is given at conf.d/a.yaml:8:1 already; keep one\n");
}

TEST_F(IncludedTest, OnlyTheMainFileIncludesAndPermitsVariables) {
  write("conf.d/a.yaml", small() + "include: more.d\nenvironment: [PATH]\n");
  EXPECT_EQ(faults(),
            "conf.d/a.yaml:7:1: include: belongs in main.yaml alone, which includes this file\n"
            "conf.d/a.yaml:8:1: environment: belongs in main.yaml alone, which includes this file\n");
}

TEST_F(IncludedTest, VariablesArePutIntoEveryFile) {
  write("conf.d/a.yaml", small("    backlog: ${HG_INCLUDED:-7}\n"));
  const Loaded loaded = load_main("environment: [HG_INCLUDED]\ninclude: conf.d\n");
  ASSERT_EQ(fault_lines(loaded), "");
  EXPECT_EQ(loaded.config.listeners[0].backlog, 7);
  ASSERT_EQ(loaded.variables.size(), 1U);
  EXPECT_TRUE(loaded.variables[0].file.ends_with("conf.d/a.yaml"));
  EXPECT_EQ(loaded.variables[0].line, 4);
}

TEST_F(IncludedTest, AliasesAndMergeKeysWorkWithinEachFile) {
  write("conf.d/a.yaml",
        "listeners:\n  - &one {name: a, bind: ':1', backend: one}\n  - {<<: *one, name: b, bind: ':2'}\n"
        "backends:\n  one: &b {servers: 127.0.0.1:80}\n  <<: {two: *b}\n");
  write("conf.d/b.yaml", "listeners: [{name: c, bind: ':3', backend: two}]\n");
  EXPECT_EQ(faults(), "");
  EXPECT_EQ(load_main().config.backends.size(), 2U);
  write("conf.d/c.yaml", "backends: {three: *b}\n");
  EXPECT_EQ(faults().substr(0, 24), "conf.d/c.yaml:1:19: yaml");
}

TEST_F(IncludedTest, AFileWithCommentsAloneIsNoFaultAndAnEmptyOneIs) {
  write("conf.d/a.yaml", small());
  write("conf.d/b.yaml", "# all of this is turned off\n");
  EXPECT_EQ(faults(), "");
  write("conf.d/b.yaml", "");
  EXPECT_EQ(
      faults(),
      "conf.d/b.yaml: is empty, as a file is that is half written; write a comment into it, or remove it\n");
  write("conf.d/b.yaml", "\n \n");
  EXPECT_NE(faults(), "");
}

TEST_F(IncludedTest, AFileThatCannotBeReadAddsNoFaultsAboutItsNames) {
  write("conf.d/a.yaml", a_listener("a", "1", "one"));
  write("conf.d/b.yaml", "backends:\n  one: {servers: [\n");
  const std::string told = faults();
  EXPECT_TRUE(told.starts_with("conf.d/b.yaml:3:1: yaml: ")) << told;
  EXPECT_EQ(std::ranges::count(told, '\n'), 1) << told;
  write("conf.d/b.yaml", "- backends\n");
  EXPECT_EQ(
      faults(),
      "conf.d/b.yaml:1:1: an included file is a map with keys such as \"listeners\" and \"backends\", not a "
      "list\n");
  write("conf.d/b.yaml", "-----BEGIN PRIVATE KEY-----\nAAAA\n");
  EXPECT_EQ(faults(), "conf.d/b.yaml:1:1: yaml: this is a PEM file, not a configuration\n");
  write("conf.d/b.yaml", "listeners: {}\nbackends: []\n");
  EXPECT_EQ(faults(a_backend("one") + "include: conf.d\n"),
            "conf.d/b.yaml:1:12: listeners: needs a list here, not a map\n"
            "conf.d/b.yaml:2:11: backends: needs a map here, not a list\n");
}

TEST_F(IncludedTest, WhatIsNoRegularFileIsAFault) {
  write("conf.d/a.yaml", small());
  fs::create_directory(directory_ / "conf.d/b.yaml");
  ASSERT_EQ(::mkfifo((directory_ / "conf.d/c.yaml").c_str(), 0600), 0);
  fs::create_symlink("nowhere", directory_ / "conf.d/d.yaml");
  fs::create_symlink("/dev/zero", directory_ / "conf.d/e.yaml");
  const std::string regular =
      " is not a regular file; move it elsewhere, or give it another extension than .yaml\n";
  EXPECT_EQ(faults(),
            "conf.d/b.yaml:" + regular + "conf.d/c.yaml:" + regular +
                "conf.d/d.yaml: cannot be opened: No such file or directory\nconf.d/e.yaml:" + regular);
}

TEST_F(IncludedTest, NoFileIsReadTwice) {
  write("conf.d/a.yaml", small());
  EXPECT_EQ(faults("include: [conf.d, conf.d/a.yaml]\n"),
            "conf.d/a.yaml: is read as \"conf.d/a.yaml\" already; include it once\n");
  fs::create_symlink("a.yaml", directory_ / "conf.d/b.yaml");
  EXPECT_EQ(faults(), "conf.d/b.yaml: is read as \"conf.d/a.yaml\" already; include it once\n");
  fs::remove(directory_ / "conf.d/b.yaml");
  EXPECT_EQ(faults("include: .\n" + small()),
            "main.yaml: is read as \"main.yaml\" already; include it once\n");
}

TEST_F(IncludedTest, AMissingDirectoryIsAFaultAndAnEmptyOneAWarning) {
  EXPECT_EQ(faults("include: nowhere\n" + small()),
            "main.yaml:1:10: include[0]: \"nowhere\" cannot be opened: No such file or directory\n");
  EXPECT_EQ(faults("include: conf.d\n" + small()),
            "main.yaml:1:10: include[0]: warning: \"conf.d\" has no file with a name that ends in .yaml\n");
  EXPECT_EQ(faults(),
            "main.yaml:1:1: listeners: at least one listener is needed, with \"bind\" and \"backend\"\n"
            "main.yaml:1:10: include[0]: warning: \"conf.d\" has no file with a name that ends in .yaml\n");
  EXPECT_EQ(
      faults("include: conf.d/*.yaml\n" + small()),
      "main.yaml:1:10: include[0]: \"conf.d/*.yaml\" is a pattern; write the directory alone, of which every "
      "*.yaml is read\n");
  EXPECT_EQ(faults("include:\n" + small()),
            "main.yaml:1:1: include: has no value; give it one or leave the key out\n");
}

TEST_F(IncludedTest, AllFilesTogetherHaveABound) {
  const std::string much = small() + '#' + std::string(9UL * 1024 * 1024, 'x') + '\n';
  write("conf.d/a.yaml", much);
  EXPECT_EQ(faults(), "");
  write("conf.d/b.yaml", "#" + std::string(9UL * 1024 * 1024, 'x') + '\n');
  EXPECT_EQ(faults(),
            "conf.d/b.yaml: is too much: the files of this configuration are longer than 16 MiB together\n");
}

TEST_F(IncludedTest, AliasesOfAllFilesTogetherHaveABound) {
  std::string bomb = "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n";
  for (int i = 1; i < 5; ++i) {
    const std::string before = " *x" + std::to_string(i - 1);
    bomb += 'x' + std::to_string(i) + ": &x" + std::to_string(i) + " [" + before;
    for (int more = 0; more < 9; ++more) bomb += ',' + before;
    bomb += "]\n";
  }
  for (int file = 0; file < 9; ++file) write("conf.d/" + std::to_string(file) + ".yaml", bomb);
  const std::string told = faults();
  EXPECT_NE(told.find("yaml: the configuration has more than 1000000 values"), told.npos)
      << told.substr(0, 300);
}

TEST_F(IncludedTest, NoPrefixOfAFileCrashesTheLoader) {
  const std::string whole = a_listener("a", "1", "one") + a_backend("one") + "log: {level: debug}\n";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write("conf.d/a.yaml", whole.substr(0, size));
    static_cast<void>(load_main());
  }
}

}  // namespace
}  // namespace headgate::config
