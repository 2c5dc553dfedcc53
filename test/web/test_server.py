"""The HTTP server of the page: files, state, streams, forms, and which requests it refuses."""

import http.client
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from urllib.parse import urlencode

import pytest

from manivideo_ros.web.feed import Feed
from manivideo_ros.web.guard import refusal
from manivideo_ros.web.server import MOST_CONNECTIONS, PAGE, PageServer

JPEG = b'\xff\xd8image\xff\xd9'


class Page:
    """A page of a feed, what its form asked for, and requests to it."""

    def __init__(self, host='127.0.0.1'):
        self.feed, self.asked = Feed(['mug', 'box']), []
        self.server = PageServer(self.feed, self._choose, host, 0)
        self.port = self.server.server_address[1]

    async def _choose(self, objects, seed):
        self.asked.append((dict(objects), seed))
        return 'bad' not in objects, 'the scene has ' + ', '.join(objects)

    def request(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=5)
        headers = {name.replace('_', '-'): value for name, value in headers.items()}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        out = answer.status, answer.read().decode(), answer.headers
        connection.close()
        return out

    def post(self, fields, **headers):
        fields = {'token': self.server.token, **fields}
        return self.request('POST', '/scene', urlencode(fields), **headers)[:2]


@pytest.fixture
def page():
    page = Page()
    yield page
    page.server.close()


def wait_until(true, seconds=5):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    assert true()


def test_the_page_and_its_parts_are_served_and_nothing_else(page):
    for path, kind in (('/', 'html'), ('/page.js', 'javascript'), ('/page.css', 'css')):
        status, text, headers = page.request('GET', path)
        assert status == 200 and kind in headers['Content-Type'] and text
        assert "default-src 'none'" in headers['Content-Security-Policy']
    for path in ('/page.html', '/../page.py', '/%2e%2e/feed.py', '/stream/', '/stream/../state'):
        assert page.request('GET', path)[0] == 404
    assert page.request('PUT', '/scene')[0] == 501


def test_nothing_of_the_page_comes_from_elsewhere():
    for file in PAGE.iterdir():
        text = file.read_text().replace('http://www.w3.org/2000/svg', '')
        assert '://' not in text and 'innerHTML' not in text, file.name


def test_the_state_has_what_was_reported_and_only_new_latencies(page):
    page.feed.put_status('engine', 1, 'onnxruntime serves', {'backend': 'onnxruntime'})
    page.feed.put_latencies({'published': 12.5})
    page.feed.put_latencies({'published': 13.5})
    page.feed.put_objects(['cup'])
    state = json.loads(page.request('GET', '/state?after=1')[1])
    assert state['engine']['message'] == 'onnxruntime serves' and state['engine']['level'] == 1
    assert state['latencies'] == [[2, {'published': 13.5}]] and state['last'] == 2
    assert state['objects'] == ['cup'] and state['shapes'] == ['box', 'mug']
    assert len(json.loads(page.request('GET', '/state?after=-x')[1])['latencies']) == 2


def test_images_flow_while_a_page_shows_them_and_it_is_known_when_none_does(page):
    assert page.feed.watched() == set()
    connection = http.client.HTTPConnection('127.0.0.1', page.port, timeout=5)
    connection.request('GET', '/stream/normals')
    answer = connection.getresponse()
    assert answer.headers['Content-Type'].startswith('multipart/x-mixed-replace')
    wait_until(lambda: page.feed.watched() == {'normals'})
    for _ in range(2):
        page.feed.put_image('normals', JPEG)
        head = b''.join(answer.readline() for _ in range(4))
        assert head.startswith(b'--frame\r\nContent-Type: image/jpeg')
        assert answer.read(len(JPEG)) == JPEG and answer.readline() == b'\r\n'
    answer.close()
    connection.close()
    wait_until(lambda: page.feed.watched() == set())


def opened(page, stream='normals'):
    """A connection that asks for a stream and reads nothing of it."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(5)
    raw.connect(('127.0.0.1', page.port))
    raw.sendall(f'GET /stream/{stream} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.encode())
    return raw


def test_a_slow_client_holds_no_other_and_gets_the_newest_image(page):
    count, size = 200, 1_000_000
    with opened(page) as slow:
        wait_until(lambda: page.feed.watched() == {'normals'})
        connection = http.client.HTTPConnection('127.0.0.1', page.port, timeout=5)
        connection.request('GET', '/stream/normals')
        answer = connection.getresponse()
        wait_until(lambda: len(page.feed._watchers['normals']) == 2)
        for number in range(count):
            page.feed.put_image('normals', bytes([number]) * size)
            assert b''.join(answer.readline() for _ in range(4)).startswith(b'--frame')
            assert answer.read(size) == bytes([number]) * size and answer.readline() == b'\r\n'
        connection.close()
        received, newest = 0, bytes([count - 1]) * 1000
        while newest not in (more := slow.recv(65536)):
            received += len(more)
    assert received < 10 * size


def test_closing_takes_less_than_a_second_whatever_clients_do():
    page = Page()
    idle = socket.create_connection(('127.0.0.1', page.port), timeout=5)
    with idle, opened(page) as stuck, opened(page, 'video') as silent:
        wait_until(lambda: page.feed.watched() == {'normals', 'video'})
        for _ in range(3):
            page.feed.put_image('normals', bytes(10_000_000))
            time.sleep(0.05)
        begin = time.monotonic()
        page.server.close()
        assert time.monotonic() - begin < 1
        text = b''
        while more := silent.recv(4096):
            text += more
        assert text.endswith(b'\r\n0\r\n\r\n'), 'the last chunk'
        assert stuck.fileno() > 0


def test_recording_needs_the_token_and_is_disabled_without_a_folder(page):
    state = json.loads(page.request('GET', '/state')[1])['recording']
    assert state['phase'] == 'disabled' and 'record_folder' in state['message']
    for action in ('start', 'stop'):
        forged = urlencode({'token': 'guessed'})
        assert page.request('POST', f'/record/{action}', forged)[0] == 403
        own = urlencode({'token': page.server.token})
        status, text, _ = page.request('POST', f'/record/{action}', own)
        assert status == 409 and text
        origin = {'Origin': 'http://evil.example'}
        assert page.request('POST', f'/record/{action}', own, **origin)[0] == 403
        assert page.request('GET', f'/record/{action}')[0] == 405
    assert page.request('POST', '/record/erase', own)[0] == 404


def test_a_form_sets_the_scene_and_shows_the_answer(page):
    assert page.post({'object:cup': 'mug', 'seed': '7'}) == (200, 'the scene has cup\n')
    assert page.post({'object:bad': 'box'})[0] == 409
    assert page.asked == [({'cup': 'mug'}, 7), ({'bad': 'box'}, 0)]


@pytest.mark.parametrize(
    ('fields', 'status'),
    [
        ({'object:cup': '/etc/passwd'}, 400),
        ({'object:cup': 'package://manivideo_ros/x.obj'}, 400),
        ({'object:': 'mug'}, 400),
        ({'object:cup': 'mug', 'seed': '-1'}, 400),
        ({'object:cup': 'mug', 'seed': '9' * 400}, 400),
        ({}, 400),
        ({'object:cup': 'mug', 'token': 'guessed'}, 403),
        ({'object:cup': 'mug', 'token': 'é'}, 403),
        ({f'object:{i}': 'mug' for i in range(100)}, 400),
        ({'object:cup': 'm' * 10000}, 413),
    ],
)
def test_a_form_names_generated_shapes_under_the_pages_own_token_or_is_refused(
    page, fields, status
):
    assert page.post(fields)[0] == status
    assert page.asked == []


@pytest.mark.parametrize(
    'headers',
    [
        {'Host': 'evil.example'},
        {'Host': '127.0.0.1.evil.example'},
        {'Host': 'user@127.0.0.1'},
        {'Host': ''},
        {'Host': 'localhost:nonsense'},
        {'Origin': 'http://evil.example'},
        {'Origin': 'null'},
        {'Origin': 'http://127.0.0.1:1'},
        {'Sec_Fetch_Site': 'cross-site'},
        {'Sec_Fetch_Site': 'same-site', 'Sec_Fetch_Mode': 'navigate'},
    ],
)
def test_other_origins_are_refused_though_they_know_the_token(page, headers):
    status, text = page.post({'object:cup': 'mug'}, **headers)
    assert status == 403 and page.server.token not in text
    assert page.asked == []


def test_other_pages_get_no_image_and_no_state_but_may_link_here(page):
    for path in ('/stream/video', '/state', '/'):
        assert page.request('GET', path, Sec_Fetch_Site='cross-site')[0] == 403
    link = {'Sec_Fetch_Site': 'cross-site', 'Sec_Fetch_Mode': 'navigate'}
    assert page.request('GET', '/', **link, Sec_Fetch_Dest='document')[0] == 200
    assert page.request('GET', '/', **link, Sec_Fetch_Dest='iframe')[0] == 403


def test_no_answer_lets_other_origins_read_it(page):
    asked = {'Origin': 'http://evil.example', 'Access_Control_Request_Method': 'POST'}
    for method, path in (('OPTIONS', '/scene'), ('HEAD', '/'), ('TRACE', '/'), ('GET', '/state')):
        status, _, headers = page.request(method, path, **asked)
        assert status >= 400
        assert not [name for name in headers if name.lower().startswith('access-control')]
        assert "frame-ancestors 'none'" in headers['Content-Security-Policy']


@pytest.mark.parametrize(
    'head',
    [
        'GET /state HTTP/1.1',  # no Host
        'GET /state HTTP/1.0',
        'GET /state HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example',
        'GET /state HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example',
        'GET http://127.0.0.1/state HTTP/1.1\r\nHost: evil.example',
        'GET /state HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade',
        'GET /state HTTP/1.1\r\nHost: 127.0.0.1#@evil.example',
        'GET /state HTTP/1.1\r\nHost: [::1',
        'GET //evil.example/state HTTP/1.1\r\nHost: evil.example',
        'GET /..%2f..%2fetc/passwd HTTP/1.1\r\nHost: 127.0.0.1',
        'GET /stream/../../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1',
        'GET /page.js/../page.html HTTP/1.1\r\nHost: 127.0.0.1',
        'GET /page.js%00.html HTTP/1.1\r\nHost: 127.0.0.1',
        'GET ' + '/' * 70_000 + ' HTTP/1.1\r\nHost: 127.0.0.1',
        'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n' + 'X: y\r\n' * 200,
        'nonsense',
        '\0' * 100,
    ],
    ids=range(17),
)
def test_requests_that_are_made_up_are_refused(page, head):
    with socket.create_connection(('127.0.0.1', page.port), timeout=5) as raw:
        raw.sendall(f'{head}\r\n\r\n'.encode())
        answer = b''
        while more := raw.recv(65536):
            answer += more
    assert b'"shapes"' not in answer and page.server.token.encode() not in answer
    assert re.search(rb'HTTP/1.1 4\d\d ', answer), answer[:200]
    assert json.loads(page.request('GET', '/state')[1])['shapes'] == ['box', 'mug']


def test_it_is_served_to_this_machine_alone_by_default(page):
    from manivideo_ros.ros.parameters import ViewerParameters

    assert ViewerParameters().host == '127.0.0.1'
    assert page.server.server_address[0] == '127.0.0.1'


def test_a_proxy_that_ends_tls_is_the_same_page():
    page = Page('localhost')
    try:
        for origin in ('https://localhost', 'http://localhost'):
            assert page.post({'object:cup': 'mug'}, Host='localhost', Origin=origin)[0] == 200
        for origin in ('https://localhost:1', 'https://evil.example', 'ftp://localhost'):
            assert page.post({'object:cup': 'mug'}, Host='localhost', Origin=origin)[0] == 403
    finally:
        page.server.close()


def test_a_proxys_own_name_is_answered_where_it_was_given_as_host():
    def asked(host):
        headers = {'Host': 'lab.example', 'Origin': 'https://lab.example'}
        return refusal(headers, 'POST', host)

    assert asked('lab.example') == ''
    assert 'not this machine' in asked('0.0.0.0')


def test_a_head_request_is_answered_as_a_get_without_its_body(page):
    for path in ('/', '/page.js', '/state', '/stream/video'):
        got = None if path == '/stream/video' else page.request('GET', path)
        status, body, headers = page.request('HEAD', path)
        assert status == 200 and body == ''
        if got is not None:
            assert headers['Content-Length'] == got[2]['Content-Length']
    assert page.request('HEAD', '/page.html')[0] == 404


@pytest.mark.parametrize(
    ('host', 'address', 'only_here'),
    [
        ('robot.local', '127.0.1.1', '127.0.1.1'),
        ('127.0.0.1', '127.0.0.1', ''),
        ('localhost', '127.0.0.1', ''),
        ('0.0.0.0', '0.0.0.0', ''),
        ('robot.local', '192.168.1.7', ''),
    ],
)
def test_a_name_that_only_this_machine_reaches_is_noticed(host, address, only_here, page):
    page.server.host, kept = host, page.server.server_address
    page.server.server_address = (address, 1)
    assert page.server.only_here == only_here
    page.server.server_address = kept


def test_the_pages_own_requests_pass(page):
    own = {'Host': f'localhost:{page.port}', 'Origin': f'http://localhost:{page.port}'}
    assert page.post({'object:cup': 'mug'}, **own, Sec_Fetch_Site='same-origin')[0] == 200


@pytest.mark.parametrize(
    ('length', 'status'),
    [(None, 413), ('-1', 400), ('x', 400), ('99999999999999', 413), ('1e3', 400)],
)
def test_a_content_length_that_is_missing_malformed_or_too_large_is_refused(page, length, status):
    with socket.create_connection(('127.0.0.1', page.port), timeout=5) as raw:
        header = '' if length is None else f'Content-Length: {length}\r\n'
        raw.sendall(f'POST /scene HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n'.encode())
        assert f' {status} '.encode() in raw.recv(100)


def test_a_flood_of_connections_is_bounded_and_passes(page):
    held = [
        socket.create_connection(('127.0.0.1', page.port), timeout=5)
        for _ in range(MOST_CONNECTIONS + 20)
    ]
    connections = page.server._server.server_state.connections
    wait_until(lambda: len(connections) >= MOST_CONNECTIONS)
    time.sleep(0.3)
    assert len(connections) == MOST_CONNECTIONS
    assert threading.active_count() < MOST_CONNECTIONS + 15
    for connection in held:
        connection.close()
    time.sleep(0.3)
    assert page.request('GET', '/state')[0] == 200


def test_closing_ends_open_streams(page):
    connection = http.client.HTTPConnection('127.0.0.1', page.port, timeout=5)
    connection.request('GET', '/stream/video')
    answer = connection.getresponse()
    page.server.close()
    assert answer.read() == b''
    connection.close()


def test_an_address_that_is_taken_is_named(page):
    with pytest.raises(ValueError, match=rf'127\.0\.0\.1:{page.port}: '):
        PageServer(page.feed, page._choose, '127.0.0.1', page.port)


@pytest.mark.skipif(shutil.which('node') is None, reason='no JavaScript engine here')
def test_the_script_joins_and_scales_latencies():
    script = """
    const p = require(process.argv[1]), eq = require('assert').deepStrictEqual;
    const frame = (n, ms) => [n, { published: ms }];
    let frames = p.joined([frame(1, 5)], { last: 3, latencies: [frame(2, 6), frame(3, 7)] });
    eq(frames.map((f) => f[0]), [1, 2, 3]);
    eq(p.joined(frames, { last: 1, latencies: [frame(1, 9)] }), [frame(1, 9)]);
    const many = Array.from({ length: 400 }, (_, i) => frame(i + 1, i));
    eq(p.joined([], { last: 400, latencies: many }).length, 300);
    eq([p.ceiling([frame(1, 3)]), p.ceiling([frame(1, 130)])], [10, 200]);
    eq(p.percentile([frame(1, 3), frame(2, 1), frame(3, 2)], 50), 2);
    eq(p.points([frame(1, 0), frame(2, 10)], 'published', 10).split(' ').length, 2);
    eq(p.points([frame(1, 10)], 'published', 10), '600.0,10.0');
    eq([0, 9.9, 65, 3600].map(p.clock), ['0:00', '0:09', '1:05', '1:00:00']);
    """
    subprocess.run(['node', '-e', script, str(PAGE / 'page.js')], check=True, timeout=60)
