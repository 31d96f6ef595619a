"""The two minutes' notice that a cloud gives before it takes a spot machine away."""

import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from fkd.core.interrupt import StopRequest
from fkd.core.say import Say

# The variable that gives the AWS SDKs, too, another address.
ENDPOINT_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
_DEFAULT_ENDPOINT = "http://169.254.169.254"
_POLL_INTERVAL_S = 5.0
_TIMEOUT_S = 2.0
_TOKEN_LIFETIME_S = 21600


@contextmanager
def watch_ec2(request: StopRequest, say: Say, poll_interval_s: float = _POLL_INTERVAL_S) -> Iterator[None]:
    """Ask the EC2 instance metadata service for a spot notice in the background; a notice raises the flag.

    The protocol is IMDSv2: a token by PUT, then `spot/instance-action`, which answers 404 until there is a
    notice. A service that cannot be reached is reported once and asked again.
    """
    over = threading.Event()
    endpoint = os.environ.get(ENDPOINT_VARIABLE, _DEFAULT_ENDPOINT).rstrip("/")

    def poll() -> None:
        reachable = True
        while not over.is_set() and request.reason is None:
            try:
                if notice := read_notice(endpoint):
                    request.stop(f"EC2 spot notice ({notice})")
                reachable = True
            except (OSError, ValueError) as error:
                if reachable:
                    say(f"Spot notice: {endpoint} does not answer ({error}); asking again")
                reachable = False
            over.wait(poll_interval_s)

    thread = threading.Thread(target=poll, name="spot notice", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def read_notice(endpoint: str) -> str | None:
    """The announced action and its time, such as `terminate at 2026-11-21T08:22:00Z`; None without a notice.

    Raises OSError where the service cannot be reached and ValueError for an answer of another form.
    """
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_LIFETIME_S)}
    token = _ask(f"{endpoint}/latest/api/token", "PUT", lifetime)
    try:
        answer = _ask(
            f"{endpoint}/latest/meta-data/spot/instance-action", "GET", {"X-aws-ec2-metadata-token": token}
        )
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise
    notice = json.loads(answer)
    if not isinstance(notice, dict) or "action" not in notice:
        raise ValueError(f"expected an action and its time, received {answer[:80]!r}")
    return f"{notice['action']} at {notice.get('time', 'an unknown time')}"


def _ask(url: str, method: str, headers: dict[str, str]) -> str:
    # Without a proxy: the service is the machine's own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(
        urllib.request.Request(url, method=method, headers=headers), timeout=_TIMEOUT_S
    ) as answer:
        return str(answer.read().decode())
