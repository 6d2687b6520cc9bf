#include "cli/command_line.h"

#include <functional>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "tls/openssl/library_context.h"

namespace headgate {
namespace {

/// The parsed command line. Each command adds its options and the function to run.
class CommandLine {
 public:
  CommandLine() {
    app_.set_version_flag(
        "--version", std::string("headgate ") + HEADGATE_VERSION + " (" + LibraryContext::version() + ")");
    app_.require_subcommand(1);
    add_run();
    add_demo();
    add_check();
    add_show();
    add_explain();
    add_import();
    add_ticket_key();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? kExitDone : kExitCommandLine;
    }
    return chosen_();
  }

 private:
  void on(CLI::App* command, std::function<int()> act) {
    command->callback([this, act = std::move(act)] { chosen_ = act; });
  }

  void add_run() {
    auto* command = app_.add_subcommand("run", "Run in the foreground until SIGTERM; logs to stderr");
    auto* config = command->add_option("--config", run_.config, "Configuration file (YAML)");
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
    listen->excludes(config)->needs(backend)->needs(certificate);
    backend->excludes(config)->needs(listen);
    certificate->excludes(config)->needs(listen);
    on(command, [this] {
      if (run_.config.empty() && run_.listen.empty()) {
        std::cerr << "headgate run: give --config FILE, or --listen, --backend and --certificate\n";
        return kExitCommandLine;
      }
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
    on(command, [this] { return demo_command(demo_); });
  }

  void add_check() {
    auto* command =
        app_.add_subcommand("check", "Load everything that `run` would load, and print every fault");
    command->add_option("--config", config_, "Configuration file (YAML)")->required();
    on(command, [this] { return check_command(config_); });
  }

  void add_show() {
    auto* command = app_.add_subcommand("show", "Print the configuration in full, with every default");
    command->add_option("--config", config_, "Configuration file (YAML)")->required();
    on(command, [this] { return show_command(config_); });
  }

  void add_explain() {
    auto* command = app_.add_subcommand("explain", "Print what would happen to a connection, and why");
    command->add_option("--config", explain_.config, "Configuration file (YAML)")->required();
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
    on(command, [this] { return explain_command(explain_); });
  }

  void add_import() {
    auto* command = app_.add_subcommand("import", "Print another program's configuration as Headgate's YAML");
    command->require_subcommand(1);
    for (const char* format : {"hitch", "stunnel", "haproxy"}) {
      auto* one = command->add_subcommand(format, std::string("A configuration file of ") + format);
      one->add_option("FILE", imported_, "The file")->required();
      on(one, [this, format] { return import_command(format, imported_); });
    }
  }

  void add_ticket_key() {
    auto* command = app_.add_subcommand("ticket-key", "Make secrets for resumption.secret_file");
    command->require_subcommand(1);
    on(command->add_subcommand("new", "Print a new secret for a fleet"),
       [] { return ticket_key_new_command(); });
  }

  CLI::App app_{"Headgate terminates TLS in front of a service.", "headgate"};
  RunOptions run_;
  DemoOptions demo_;
  ExplainOptions explain_;
  std::string config_;
  std::string imported_;
  std::function<int()> chosen_;
};

}  // namespace

int run_command_line(int argc, char** argv) {
  return CommandLine().run(argc, argv);
}

}  // namespace headgate
