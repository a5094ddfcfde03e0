"""A small web server on 127.0.0.1, for the drills that need somebody to ask."""

import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class LoopbackServer:
    """Serves on 127.0.0.1, on a free port, from threads that end with the process.

    Either `with Server(...) as server: ...`, or `server = Server(...).start()` and at last `server.stop()`.
    """

    def start(self):
        """Begin to serve; returns the server itself."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # headers and body leave in one packet; two would wait for each other

            def do_GET(self):
                self._reply(*outer.get(unquote(self.path), self.headers))

            def do_POST(self):
                self._reply(*outer.post(self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0))))

            def _reply(self, status, kind, body):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def server_bind(self):  # the inherited one looks up the host's name, which can take seconds
                socketserver.TCPServer.server_bind(self)
                self.server_name, self.server_port = self.server_address[:2]

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        """End the server and free its port."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def get(self, path: str, headers) -> tuple[int, str, bytes]:
        return 404, "text/plain", b"not found"

    def post(self, path: str, body: bytes) -> tuple[int, str, bytes]:
        return 404, "text/plain", b"not found"
