#include <signal.h>
#include <sys/resource.h>

#include <map>

#include "modes.h"

namespace {

void raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int count, char** words) {
  using namespace headgate::bench;
  const Options options = parse_options(count, words);
  const std::map<std::string, void (*)(const Options&)> modes{{"backend", run_backend},
                                                              {"handshakes", run_handshakes},
                                                              {"ping_pong", run_ping_pong},
                                                              {"upload", run_upload},
                                                              {"download", run_download},
                                                              {"idle", run_idle},
                                                              {"storm", run_storm},
                                                              {"flood", run_flood},
                                                              {"drip", run_drip},
                                                              {"honest", run_honest},
                                                              {"echo", run_echo}};
  const auto mode = modes.find(options.mode);
  if (mode == modes.end()) give_up("there is no mode " + options.mode);
  signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  mode->second(options);
  return 0;
}
