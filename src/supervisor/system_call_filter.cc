#include "supervisor/system_call_filter.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include <seccomp.h>

#include "net/fd.h"

namespace headgate {
namespace {

constexpr const char* kRefused[] = {
    // Calls that reach other processes' memory and descriptors.
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
    // Calls that change mounts and roots.
    "mount", "umount", "umount2", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr", "pivot_root", "chroot", "quotactl", "quotactl_fd", "swapon",
    "swapoff", "open_by_handle_at", "fanotify_init",
    // Calls that make name spaces; clone() with their flags is refused below.
    "unshare", "setns",
    // Calls to the kernel itself, and to large parts of it that a proxy does not use.
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "bpf",
    "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "add_key",
    "request_key", "keyctl", "syslog", "acct", "lookup_dcookie", "iopl", "ioperm", "modify_ldt", "vm86",
    // Calls that set the clocks and names of the machine.
    "settimeofday", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex",
    "stime", "sethostname", "setdomainname"};

constexpr unsigned kNameSpaceFlags[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWNET,   CLONE_NEWPID,
                                        CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP};

constexpr bool is_needed(int family) {
  return family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
}

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};
using SeccompFilter = std::unique_ptr<void, Release>;

/// Collects rules and the first failure among them, so that the list below reads as a list.
class Rules {
 public:
  explicit Rules(const SeccompFilter& filter) : filter_(filter.get()) {}

  template <class... Comparisons>
  void refuse(const char* name, int error_number, Comparisons... comparisons) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) return;  // the call is newer than this libseccomp
    const int outcome = seccomp_rule_add(filter_, SCMP_ACT_ERRNO(static_cast<unsigned>(error_number)), number,
                                         sizeof...(comparisons), comparisons...);
    if (outcome != 0 && outcome != -EEXIST && failure_ == 0) failure_ = -outcome;
  }
  [[nodiscard]] int failure() const { return failure_; }

 private:
  scmp_filter_ctx filter_;
  int failure_ = 0;
};

void refuse_name_spaces(Rules& rules) {
  for (const unsigned flag : kNameSpaceFlags) {
    rules.refuse("clone", EPERM, scmp_arg_cmp{0, SCMP_CMP_MASKED_EQ, flag, flag});
  }
  // Its flags lie in memory, which a filter cannot read. When it seems not to exist, the C library calls
  // clone().
  rules.refuse("clone3", ENOSYS);
}

void refuse_socket_families(Rules& rules) {
  for (int family = 0; family < AF_MAX; ++family) {
    if (is_needed(family)) continue;
    rules.refuse("socket", EAFNOSUPPORT, scmp_arg_cmp{0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(family), 0});
  }
  rules.refuse("socket", EAFNOSUPPORT, scmp_arg_cmp{0, SCMP_CMP_GE, AF_MAX, 0});
}

/// With CAP_NET_RAW such sockets would read and forge the packets of others. Netlink's are raw by name alone.
void refuse_raw_sockets(Rules& rules) {
  constexpr scmp_datum_t kTypeBits = 0xf;  // the rest are flags (socket(2))
  for (const int family : {AF_INET, AF_INET6}) {
    for (const int type : {SOCK_RAW, SOCK_PACKET}) {
      rules.refuse("socket", EPERM, scmp_arg_cmp{0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(family), 0},
                   scmp_arg_cmp{1, SCMP_CMP_MASKED_EQ, kTypeBits, static_cast<scmp_datum_t>(type)});
    }
  }
}

/// The digest of the filter's program, as the kernel would run it.
Result<std::string> digest_of_filter(const SeccompFilter& filter) {
  const Fd memory(memfd_create("headgate-seccomp", MFD_CLOEXEC));
  if (!memory) return fail_errno("cannot make a file in memory for the seccomp filter", errno);
  if (const int outcome = seccomp_export_bpf(filter.get(), memory.number()); outcome != 0)
    return fail_errno("cannot write the seccomp filter", -outcome);
  std::string program("seccomp ");
  char part[4096];
  ssize_t count = 0;
  for (off_t at = 0; (count = pread(memory.number(), part, sizeof part, at)) > 0; at += count)
    program.append(part, static_cast<std::size_t>(count));
  if (count < 0) return fail_errno("cannot read the seccomp filter", errno);
  return digest_of(program);
}

}  // namespace

Result<void> filter_system_calls(SandboxLayers& layers) {
  const SeccompFilter filter(seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) return fail(ErrorKind::kSystem, "libseccomp cannot make a filter on this machine");
  Rules rules(filter);
  for (const char* name : kRefused) rules.refuse(name, EPERM);
  refuse_name_spaces(rules);
  refuse_socket_families(rules);
  refuse_raw_sockets(rules);
  // This call would type into the terminal of the operator that started us.
  rules.refuse("ioctl", EPERM, scmp_arg_cmp{1, SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI});
  if (rules.failure() != 0) return fail_errno("cannot write the seccomp filter", rules.failure());
  const auto digest = digest_of_filter(filter);
  if (!digest) return tl::unexpected(digest.error());
  if (layers.holds(*digest)) return {};
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 0);  // the caller has set it
  if (const int outcome = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1); outcome != 0) {
    return fail_errno("cannot filter the system calls of every thread", -outcome);
  }
  if (const int outcome = seccomp_load(filter.get()); outcome != 0) {
    return fail_errno("the kernel does not take the seccomp filter", -outcome);
  }
  layers.add(*digest);
  return {};
}

}  // namespace headgate
