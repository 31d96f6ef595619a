"""An EC2 instance metadata service on this machine."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NOTICE = {"action": "terminate", "time": "2026-11-21T08:22:00Z"}


class Metadata(ThreadingHTTPServer):
    """An instance metadata service (IMDSv2); `answer` is its spot notice, None for none yet."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: str | None = None
        self.asked = 0


class _Handler(BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        wanted = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self._reply(200 if wanted else 400, "the token")

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.headers["X-aws-ec2-metadata-token"] != "the token":
            self._reply(401, "")
        elif self.path != "/latest/meta-data/spot/instance-action" or self.server.answer is None:
            self._reply(404, "")
        else:
            self._reply(200, self.server.answer)

    def _reply(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""
