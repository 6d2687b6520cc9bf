#include "cli/command_line.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/secret_text.h"
#include "cli/command_line_fault.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/import.h"
#include "tls/library/library_context.h"
#include "tls/library/wiped_memory.h"

namespace headgate {
namespace {

std::string version_line() {
  std::string x25519 = LibraryContext::own_x25519();
  if (!x25519.empty()) {
    const auto library = LibraryContext::make();
    if (library && (*library)->is_fips()) x25519.clear();  // FIPS forbids it
  }
  return std::string("headgate ") + HEADGATE_VERSION + " (" + LibraryContext::version() +
         (x25519.empty() ? ")" : "; X25519 by " + x25519 + ")");
}

/// The end of a command's help.
std::string examples(std::initializer_list<const char*> lines) {
  std::string text = lines.size() > 1 ? "Examples:\n" : "Example:\n";
  for (const char* line : lines) text += std::string("  headgate ") + line + '\n';
  return text;
}

/// The file may stand alone, or behind -c or --config.
CLI::Option* add_configuration(CLI::App* command, std::string& file, const char* about) {
  return command->add_option("-c,--config,FILE", file, about);
}

constexpr const char* kFileOrStdin = "Configuration file (YAML); - is standard input";

/// The parsed command line. Each command adds its options and the function to run.
class CommandLine {
 public:
  CommandLine() {
    app_.set_version_flag("--version", version_line);
    app_.require_subcommand(1);
    app_.footer(examples({"demo", "check headgate.yaml", "run -c headgate.yaml", "help run"}));
    add_run();
    add_demo();
    add_check();
    add_show();
    add_explain();
    add_import();
    add_ticket_key();
    add_version_and_help();
  }

  /// `words` are those behind the program's name.
  int run(std::vector<std::string> words) {
    try {
      std::ranges::reverse(words);  // CLI11 takes the last word first
      app_.parse(std::move(words));
    } catch (const CLI::ParseError& error) {
      const std::string fault = fault_of_command_line(app_, error);
      std::cerr << fault;
      if (!fault.empty()) return kExitCommandLine;
      app_.exit(error);  // prints the help or the version
      return kExitDone;
    }
    return chosen_();
  }

 private:
  void on(CLI::App* command, std::function<int()> act) {
    command->callback([this, act = std::move(act)] { chosen_ = act; });
  }

  void add_run() {
    auto* command = app_.add_subcommand("run", "Run in the foreground until SIGTERM; logs to stderr");
    command->footer(
        examples({"run headgate.yaml", "run --listen :8443 --backend 127.0.0.1:8080 --certificate tls.pem"}));
    auto* config = add_configuration(command, run_.config, "Configuration file (YAML)");
    auto* listen =
        command->add_option("--listen", run_.listen, "Without a file: where to listen, for example :8443");
    auto* backend = command->add_option("--backend", run_.backend,
                                        "Without a file: the service, for example 127.0.0.1:8080");
    auto* certificate = command->add_option("--certificate", run_.certificate,
                                            "Without a file: the certificate, PEM, leaf first");
    command
        ->add_option("--key", run_.key,
                     "Without a file: the private key, PEM, if it is not in the certificate's file")
        ->needs(certificate);
    command->add_option("--admin", run_.admin, "Without a file: where to serve the admin endpoint, or off")
        ->capture_default_str()
        ->excludes(config);
    listen->excludes(config)->needs(backend)->needs(certificate);
    backend->excludes(config)->needs(listen);
    certificate->excludes(config)->needs(listen);
    on(command, [this] {
      if (run_.config.empty() && run_.listen.empty())
        return wrong("run: give a configuration FILE, or --listen, --backend and --certificate");
      if (is_stdin(run_.config))
        return wrong("run: give a FILE: a reload reads it again, which standard input does not allow");
      return run_command(run_);
    });
  }

  void add_demo() {
    auto* command = app_.add_subcommand(
        "demo", "Run without a configuration, with a certificate and a backend of its own");
    command->add_option("--listen", demo_.listen, "Where to listen")->capture_default_str();
    command->add_option("--backend", demo_.backend, "HOST:PORT of a service, instead of the built-in one");
    command->add_option("--admin", demo_.admin, "Where to serve the admin endpoint, or off")
        ->capture_default_str();
    command->footer(examples({"demo", "demo --listen 127.0.0.1:9443 --backend 127.0.0.1:8080 --admin off"}));
    on(command, [this] { return demo_command(demo_); });
  }

  void add_check() {
    auto* command =
        app_.add_subcommand("check", "Load everything that `run` would load, and print every fault");
    add_configuration(command, config_, kFileOrStdin)->required();
    command->footer(examples({"check headgate.yaml", "check - < headgate.yaml"}));
    on(command, [this] { return check_command(config_); });
  }

  void add_show() {
    auto* command = app_.add_subcommand("show", "Print the configuration in full, with every default");
    add_configuration(command, config_, kFileOrStdin)->required();
    command->footer(examples({"show headgate.yaml"}));
    on(command, [this] { return show_command(config_); });
  }

  void add_explain() {
    auto* command = app_.add_subcommand("explain", "Print what would happen to a connection, and why");
    add_configuration(command, explain_.config, kFileOrStdin)->required();
    command->footer(
        examples({"explain headgate.yaml --listener web --sni app.example.com --source 192.0.2.7"}));
    command
        ->add_option("--listener", explain_.listener, "The name of the listener that the client connects to")
        ->required();
    command->add_option("--sni", explain_.sni, "The server name that the client sends");
    command->add_option(
        "--alpn", explain_.alpn,
        "A protocol that the client offers; repeat the option for more, the preferred one first");
    command->add_option("--source", explain_.source, "The IP address that the client connects from");
    command->add_option("--client-cert", explain_.client_certificate,
                        "PEM file with the certificate that the client sends");
    command->add_option("--aws-vpc-endpoint", explain_.link.aws_vpc_endpoint,
                        "The VPC endpoint that the PROXY header names");
    command->add_option("--azure-private-link", explain_.link.azure_private_link,
                        "The LINKID of the private endpoint that the PROXY header names");
    command->add_option("--gcp-psc-connection", explain_.link.gcp_psc_connection,
                        "The pscConnectionId that the PROXY header names");
    on(command, [this] { return explain_command(explain_); });
  }

  void add_import() {
    auto* command = app_.add_subcommand("import", "Print another program's configuration as Headgate's YAML");
    command->require_subcommand(1);
    const std::string footer =
        "The YAML goes to stdout. Each line of FILE that is not carried over is named on stderr with its "
        "line "
        "number:\n\"error\" for a rule about access, TLS or where a connection goes, \"note\" for the rest.\n"
        "Exit codes: 0 if every such rule was carried over; 1 if one was not, if the result lacks something, "
        "or "
        "if FILE cannot be read.\n";
    command->footer(footer + examples({"import haproxy haproxy.cfg > headgate.yaml"}));
    for (const ImportFormat& format : kImportFormats) {
      auto* one = command->add_subcommand(format.name, format.what);
      const std::string example = std::string("import ") + format.name + " FILE > headgate.yaml";
      one->footer(footer + examples({example.c_str()}));
      one->add_option("FILE", imported_, "The file")->required();
      on(one, [this, &format] { return import_command(format, imported_); });
    }
  }

  void add_ticket_key() {
    auto* command = app_.add_subcommand("ticket-key", "Make secrets for resumption.secret_file");
    command->require_subcommand(1);
    const std::string footer = examples({"ticket-key new > tickets.secret"});
    command->footer(footer);
    auto* fresh = command->add_subcommand("new", "Print a new secret for a fleet");
    fresh->footer(footer);
    on(fresh, [] { return ticket_key_new_command(); });
  }

  void add_version_and_help() {
    auto* said = app_.add_subcommand("version", "Print the version, and that of the TLS library");
    said->footer(examples({"version"}));
    on(said, [] {
      std::cout << version_line() << '\n';
      return kExitDone;
    });
    auto* help = app_.add_subcommand("help", "Print the help of a command");
    help->footer(examples({"help", "help import haproxy"}));
    help->add_option("COMMAND", about_, "The command; absent: an overview");
    on(help, [this] {
      about_.emplace_back("--help");
      return CommandLine().run(about_);
    });
  }

  static int wrong(const char* what) {
    std::cerr << "headgate " << what << '\n';
    return kExitCommandLine;
  }

  CLI::App app_{"Headgate terminates TLS in front of a service.", "headgate"};
  RunOptions run_;
  DemoOptions demo_;
  ExplainOptions explain_;
  std::string config_;
  std::string imported_;
  std::vector<std::string> about_;
  std::function<int()> chosen_;
};

}  // namespace

int run_command_line(int argc, char** argv) {
  // Any option may be given a key by mistake, and answers and messages repeat their options.
  if (std::ranges::any_of(std::span(argv, static_cast<std::size_t>(argc)), holds_secret)) {
    std::cerr
        << "headgate: an argument is a key or a certificate itself (it is not shown); keep it in a file, "
           "and give the file's path\n";
    return kExitCommandLine;
  }
  if (auto wiped = wipe_freed_memory_of_openssl(); !wiped) {
    std::cerr << "headgate: " << wiped.error().what << '\n';
    return kExitCannotStart;
  }
  return CommandLine().run({argv + std::min(argc, 1), argv + argc});
}

}  // namespace headgate
