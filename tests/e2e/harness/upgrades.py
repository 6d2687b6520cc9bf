"""A running Headgate that is upgraded by signal."""

import os
import signal

from harness.waiting import wait_until


class Line:
    """A running Headgate and its successors, upgraded by signal. This object knows which of them serves now."""

    def __init__(self, headgate):
        self.headgate = headgate
        self.pid = headgate.child.pid
        self._upgrades = 0

    def wait_log(self, count, message):
        """Waits for the `count`th line of that kind by any of them. Headgate.wait_log() would end with the first
        process."""
        wait_until(lambda: len(self.headgate.log_with(message=message)) >= count, lambda: self.headgate.output)
        return self.headgate.log_with(message=message)[count - 1]

    def begin(self):
        os.kill(self.pid, signal.SIGUSR2)

    def upgrade(self):
        """Upgrades and waits until the new process serves."""
        self.begin()
        self._upgrades += 1
        done = self.wait_log(self._upgrades, "upgraded: the new process serves")
        self.pid = int(done["pid"])
        self.wait_log(self._upgrades + 1, "admin listening")
        return done

    def fail(self, count=1):
        """Tries an upgrade that must fail."""
        self.begin()
        return self.wait_log(count, "the upgrade failed: this process carries on with everything")

    def end(self):
        """Ends the last of them; its output ends with it."""
        if self.pid == self.headgate.child.pid:
            return
        os.kill(self.pid, signal.SIGTERM)
        self.pid = self.headgate.child.pid  # a second call does nothing
        for reader in self.headgate._readers:
            reader.join(10)
        assert not any(reader.is_alive() for reader in self.headgate._readers), self.headgate.output
