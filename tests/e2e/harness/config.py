"""The configurations that most tests start from."""

import json
import os

# LeakSanitizer looks at its own threads by ptrace(), and every sanitizer's report starts another program for the names of
# functions; the sandbox refuses both. So a build with sanitizers runs without the sandbox, unless a test asks for it.
SANITIZED = bool(os.environ.get("HEADGATE_SANITIZE"))
# In the sandbox only root may look at the descriptors and the memory of the process, as many tests do.
WITHOUT_SANDBOX = SANITIZED or os.geteuid() != 0


def file_text(config):
    """A configuration as it is written to the file: JSON, which is YAML too."""
    return json.dumps({"sandbox": False, **config} if WITHOUT_SANDBOX else config, indent=1)


def certificate_entry(pair):
    """The entry of `certificates` for one certificate of the authority."""
    return {"certificate": str(pair.certificate), "private_key": str(pair.key)}


def proxy(backend, *certificates, tls=None, listener=None, app=None, **top):
    """One listener `web` with TLS before one backend `app`.

    `backend` is an address or a list of them. `tls`, `listener`, `app` and `top` add to or replace the keys of the
    listener's tls, the listener, the backend and the file.
    """
    servers = backend if isinstance(backend, list) else [backend]
    config = {
        "workers": 2,
        "log": {"level": "info", "format": "json", "access": "all"},
        "admin": {"bind": "127.0.0.1:0"},
        "drain": {"deadline": "1s"},
        "listeners": [
            {
                "name": "web",
                "bind": "127.0.0.1:0",
                "tls": {"certificates": [certificate_entry(pair) for pair in certificates], **(tls or {})},
                "backend": "app",
                **(listener or {}),
            }
        ],
        "backends": {"app": {"servers": servers, **(app or {})}},
    }
    config.update(top)
    return config


def plain_proxy(backend, listener=None, app=None, **top):
    """The configuration of proxy(), but without TLS from the client."""
    config = proxy(backend, listener=listener, app=app, **top)
    del config["listeners"][0]["tls"]
    return config
