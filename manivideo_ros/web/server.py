"""The HTTP server of the page: images as multipart JPEG, state as JSON, one guarded form."""

from __future__ import annotations

import json
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from manivideo_ros.files.assets import ASSETS
from manivideo_ros.web.feed import MOST_OBJECTS, STREAMS, Feed
from manivideo_ros.web.guard import HEADERS, refusal, token_fits

PAGE = ASSETS / 'web'
FILES = {
    '/': ('page.html', 'text/html; charset=utf-8'),
    '/page.js': ('page.js', 'text/javascript; charset=utf-8'),
    '/page.css': ('page.css', 'text/css; charset=utf-8'),
}
BOUNDARY = 'frame'
LOOK_S = 0.5  # how soon a silent stream notices that its page or the server is gone
READ_TIMEOUT_S = 10.0
MOST_BYTES = 8192  # of a form
MOST_CONNECTIONS = 32

# Object id -> shape, and the seed: whether the scene was changed, and one line about it.
Choose = Callable[[Mapping[str, str], int], tuple[bool, str]]


class PageServer(ThreadingHTTPServer):
    """Serves the page of a feed until closed. Raises ValueError where the address is not to be had.

    host, port: where to listen; port 0 takes a free one. choose: called, in a thread of the
    request, with a scene that the form asks for.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, feed: Feed, choose: Choose, host: str, port: int) -> None:
        self.feed, self.choose, self.host = feed, choose, host
        self.token = secrets.token_urlsafe(24)
        self.closing = threading.Event()
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        if ':' in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise ValueError(f'{host}:{port}: {error.strerror or error}') from None
        self._thread = threading.Thread(target=self.serve_forever, name='page', daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where a browser finds the page."""
        name = f'[{self.host}]' if ':' in self.host else self.host
        return f'http://{name}:{self.server_address[1]}/'

    @property
    def only_here(self) -> str:
        """The loopback address that a name stands for on this machine, as Debian's own name for
        itself does; '' where others reach the page, or the address was given as one.
        """
        address = str(self.server_address[0])
        named = self.host not in ('localhost', address)
        return address if named and ip_address(address).is_loopback else ''

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        """One thread a connection, up to a bound: a flood of them is turned away."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that went away is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Stop listening and let go of all pages."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version, sys_version = 'manivideo', ''
    timeout = READ_TIMEOUT_S

    def do_GET(self) -> None:
        if not self._accepted():
            return
        split = urlsplit(self.path)
        stream = split.path.removeprefix('/stream/')
        if split.path in FILES:
            name, kind = FILES[split.path]
            text = (PAGE / name).read_text().replace('{{token}}', self.server.token)
            self._answer(HTTPStatus.OK, kind, text.encode())
        elif split.path == '/state':
            after = parse_qs(split.query).get('after', ['0'])[0]
            number = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0
            text = json.dumps(self.server.feed.state(number))
            self._answer(HTTPStatus.OK, 'application/json', text.encode())
        elif split.path.startswith('/stream/') and stream in STREAMS:
            self._stream(stream)
        else:
            self._say(HTTPStatus.NOT_FOUND, 'no such page')

    def do_HEAD(self) -> None:
        self.do_GET()  # `_answer` and `_stream` leave the body out

    def do_POST(self) -> None:
        if not self._accepted():
            return
        if self.path != '/scene':
            self._say(HTTPStatus.NOT_FOUND, 'no such page')
            return
        length = self.headers.get('Content-Length', '')
        if not (length.isascii() and length.isdigit()) or int(length[:9]) > MOST_BYTES:
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f'forms have up to {MOST_BYTES} bytes')
            return
        try:
            form = self.rfile.read(int(length)).decode()
            fields = parse_qsl(form, keep_blank_values=True, max_num_fields=MOST_OBJECTS + 2)
        except ValueError:
            self._say(HTTPStatus.BAD_REQUEST, 'this form cannot be read')
            return
        if not token_fits(dict(fields).get('token', ''), self.server.token):
            self._say(HTTPStatus.FORBIDDEN, 'the page is of an earlier start: load it again')
            return
        try:
            objects, seed = scene_of(fields, self.server.feed.shapes)
        except ValueError as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
            return
        done, message = self.server.choose(objects, seed)
        self._say(HTTPStatus.OK if done else HTTPStatus.CONFLICT, message)

    def _accepted(self) -> bool:
        why = refusal(self.headers, self.command, self.server.host)  # type: ignore[arg-type]
        if not why and any(len(self.headers.get_all(n, [])) > 1 for n in ('Host', 'Origin')):
            why = 'Host and Origin are said once'
        if why:
            self._say(HTTPStatus.FORBIDDEN, why)
        return not why

    def _stream(self, stream: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header('Content-Type', f'multipart/x-mixed-replace; boundary={BOUNDARY}')
        self.end_headers()
        self.close_connection = True
        if self.command == 'HEAD':
            return
        feed, number = self.server.feed, 0
        with feed.watch(stream):
            while not self.server.closing.is_set():
                fresh = feed.image(stream, number, LOOK_S)
                if fresh is None:
                    if self._is_gone():
                        return
                    continue
                number, jpeg = fresh
                head = f'--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}'
                self.wfile.write(f'{head}\r\n\r\n'.encode() + jpeg + b'\r\n')

    def _is_gone(self) -> bool:
        """Whether the page closed the connection; it has no reason to send anything more."""
        self.connection.setblocking(False)
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.connection.settimeout(READ_TIMEOUT_S)

    def _say(self, status: HTTPStatus, line: str) -> None:
        self._answer(status, 'text/plain; charset=utf-8', f'{line}\n'.encode())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Requests are not news."""


def scene_of(fields: list[tuple[str, str]], shapes: list[str]) -> tuple[dict[str, str], int]:
    """Shape by object id and the seed of a form: fields 'object:<id>' and 'seed'.

    Only generated shapes can be named, never a file. Raises ValueError, one line.
    """
    objects = {}
    for name, value in fields:
        if not name.startswith('object:'):
            continue
        found = name.removeprefix('object:')
        if not found or len(found) > 64 or found in objects:
            raise ValueError('objects: every object needs an id of its own, 64 characters at most')
        if value not in shapes:
            raise ValueError(f'{found}: {value[:40]!r} is no generated shape')
        objects[found] = value
    seed = dict(fields).get('seed', '') or '0'
    if not (seed.isascii() and seed.isdigit() and len(seed) <= 10 and int(seed) < 2**32):
        raise ValueError('seed: a whole number from 0 to 4294967295')
    if not objects:
        raise ValueError('objects: none is named')
    return objects, int(seed)
