"""The viewer's page in a real browser: Chromium, or what $CHROME names, with its driver."""

import os
import re
import shutil
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from labs import READY_S, lab_in, running
from manivideo_ros.msg import FrameTimes, ObjectPose, ObjectPoses
from manivideo_ros.srv import SetScene
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.process.node_processes import environment, free_domain, free_port
from manivideo_ros.ros import qos
from manivideo_ros.ros.message_types import RCLPY

CHROME = os.environ.get('CHROME') or shutil.which('chromium') or shutil.which('google-chrome')
DRIVER = shutil.which('chromedriver')
FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--window-size=1280,900',
    '--host-resolver-rules=MAP rebound.example 127.0.0.1',
)
PATIENCE_S = 30
# Mean colour and a fingerprint of the image that an element shows.
SHOWN_IMAGE = """
const image = document.getElementById(arguments[0]), canvas = document.createElement('canvas');
canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
if (!canvas.width) return null;
const context = canvas.getContext('2d');
context.drawImage(image, 0, 0);
const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
const mean = [0, 0, 0];
let print = 0;
for (let i = 0; i < data.length; i += 4) {
  for (let c = 0; c < 3; c++) mean[c] += data[i + c] * 4 / data.length;
  print = (print * 31 + data[i]) % 1000003;
}
return { mean, print, width: canvas.width };
"""
# Of another origin: what a page that means ill would try with the viewer's address.
ILL = """<!doctype html><title>ill</title><script>
const seen = {};
const note = (name, what) => { seen[name] = what; };
for (const path of ['stream/video', 'page.js']) {
  const image = new Image();
  image.onload = () => note(path, 'shown');
  image.onerror = () => note(path, 'refused');
  image.src = 'VIEWER' + path;
}
const script = document.createElement('script');
script.onload = () => note('script', 'run');
script.onerror = () => note('script', 'refused');
script.src = 'VIEWERpage.js';
document.head.append(script);
fetch('VIEWERstate').then(() => note('state', 'read'), () => note('state', 'refused'));
const body = 'object:mug=teapot&seed=1';
fetch('VIEWERscene', { method: 'POST', mode: 'no-cors', body }).finally(() => note('form', 'sent'));
window.seen = seen;
</script>"""


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    webdriver = pytest.importorskip('selenium.webdriver')
    from selenium.webdriver.chrome.service import Service

    if not CHROME or not DRIVER:
        pytest.skip('no Chromium with chromedriver here')
    options = webdriver.ChromeOptions()
    options.binary_location = CHROME
    for flag in (*FLAGS, f'--user-data-dir={tmp_path_factory.mktemp("chrome")}'):
        options.add_argument(flag)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    driver = webdriver.Chrome(options, Service(DRIVER))  # named: nothing is downloaded
    driver.set_page_load_timeout(PATIENCE_S)
    yield driver
    driver.quit()


class Stand:
    """A synthesizer's topics beside a viewer: a bar that moves, red or, on request, blue."""

    def __init__(self, node, env):
        self.node, self.env, self.asked, self.frames = node, env, [], 0
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}/'
        make = node.create_publisher
        self.video = make(CompressedImage, 'image_raw/compressed', qos.IMAGES)
        self.layers = make(Image, 'mlo/normals', qos.IMAGES)
        self.times = make(FrameTimes, 'frame_times', qos_profile_sensor_data)
        self.objects = make(ObjectPoses, 'object_poses', qos.POSES_OUT)
        self.reports = make(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        node.create_service(SetScene, 'set_scene', self._set_scene)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def viewer(self, record_folder=''):
        parameters = {'port': self.port, 'record_folder': str(record_folder)}
        return running('viewer', parameters, self.env)

    def close(self):
        self._over.set()
        self._thread.join()

    def _set_scene(self, request, response):
        self.asked.append(request)
        response.success, response.message = True, 'the scene has mug'
        return response

    def _play(self):
        while not self._over.is_set():
            self.frames += 1
            stamped = RCLPY.header(10**9 * self.frames, 'cam')
            image = np.full((64, 64, 3), 20, np.uint8)
            bar = (4 * self.frames) % 48
            image[:, bar : bar + 16, 2 if self.asked else 0] = 240
            self.video.publish(RCLPY.jpeg(stamped, image))
            self.layers.publish(RCLPY.image(stamped, np.roll(image, 1, 2)))
            stages = ('received', 'sampled', 'rendered', 'denoised', 'decoded', 'published')
            at = {name: RCLPY.header(10**9 * self.frames + 10**7 * (n + 1), '').stamp
                  for n, name in enumerate(stages)}  # fmt: skip
            self.times.publish(FrameTimes(header=stamped, **at))
            self.objects.publish(ObjectPoses(header=stamped, objects=[ObjectPose(object_id='mug')]))
            name = 'manivideo: synthesizer'
            status = DiagnosticStatus(name=name, message='20.0 frames/s')
            self.reports.publish(DiagnosticArray(status=[status]))
            self.node.spin(0.05)


@pytest.fixture(scope='module')
def stand(motion):
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 5)
    with lab_in(domain, motion) as node:
        stand = Stand(node, environment(domain))
        yield stand
        stand.close()


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    return tmp_path_factory.mktemp('bags')


@pytest.fixture(scope='module')
def page(browser, stand, bags):
    with stand.viewer(bags) as process:
        process.wait_for('serving http', READY_S)
        browser.get(stand.url)
        browser.viewer = process
        yield browser


def until(probe, wanted=bool):
    """The first result of `probe` for which `wanted` holds."""
    end = time.monotonic() + PATIENCE_S
    while not wanted(seen := probe()) and time.monotonic() < end:
        time.sleep(0.1)
    assert wanted(seen), seen
    return seen


def text(browser, element):
    return browser.find_element('id', element).text


def video_moves(browser, element='video'):
    probe = partial(browser.execute_script, SHOWN_IMAGE, element)
    first = until(probe)
    return until(probe, lambda seen: seen and seen['print'] != first['print'])


BOX = 'return document.getElementById(arguments[0]).getBoundingClientRect().toJSON();'
POINTS = """return [...document.querySelectorAll('#plot polyline')].map(
    line => line.getAttribute('points'));"""


def test_the_video_moves(page):
    assert video_moves(page)['width'] == 64
    red, _, blue = page.execute_script(SHOWN_IMAGE, 'video')['mean']
    assert red > blue + 20
    assert until(lambda: text(page, 'state'), lambda shown: 'connecting' not in shown)


def test_layers_are_shown_when_chosen_and_not_before(page):
    layers = page.find_element('id', 'layers')
    assert not layers.is_displayed()
    page.find_element('css selector', '#layer option[value=normals]').click()
    assert layers.is_displayed()
    _, green, blue = video_moves(page, 'layers')['mean']
    assert green > blue + 20
    page.find_element('css selector', '#layer option[value=""]').click()
    assert not layers.is_displayed()


def test_the_latency_is_drawn(page):
    # In one call, for every state redraws it; a page that was just opened has few frames.
    lines = until(
        lambda: page.execute_script(POINTS),
        lambda found: found and all(len(points.split()) > 2 for points in found),
    )
    assert len(lines) == 5
    assert all(len(points.split()) > 2 for points in lines)
    assert 'median 60' in text(page, 'latency')


@pytest.mark.parametrize(('width', 'height'), [(1920, 1080), (1366, 768)])
def test_the_video_is_as_large_as_fits_beside_the_panel(page, width, height):
    size = {'width': width, 'height': height, 'deviceScaleFactor': 1, 'mobile': False}
    page.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', size)
    box = partial(page.execute_script, BOX, 'video')
    video = until(box, lambda found: abs(found['width'] - found['height']) < 8)
    assert video['height'] > 0.9 * height and video['bottom'] <= height
    panel = page.execute_script(BOX, 'panel')
    assert panel['left'] >= video['right'] and panel['width'] > 300
    assert panel['right'] <= width and panel['bottom'] <= height
    for element in ('record-start', 'plot', 'latency', 'engine'):
        assert page.execute_script(BOX, element)['bottom'] < height, 'seen without scrolling'
    page.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})


def test_nothing_is_wider_than_a_phone(page):
    size = {'width': 390, 'height': 844, 'deviceScaleFactor': 1, 'mobile': True}
    page.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', size)
    assert page.execute_script('return document.documentElement.scrollWidth') <= 390
    page.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})


def test_another_page_sees_nothing_and_changes_nothing(page, stand):
    ours = page.current_window_handle

    class Ill(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header('Content-Type', 'text/html')
            self.end_headers()
            self.wfile.write(ILL.replace('VIEWER', stand.url).encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Ill) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page.switch_to.new_window('tab')
        for name in ('localhost', '127.0.0.1'):  # another site, and the same under another port
            page.get(f'http://{name}:{other.server_address[1]}/')
            seen = until(partial(page.execute_script, 'return window.seen'), lambda s: len(s) == 5)
            refused = {'stream/video', 'page.js', 'script', 'state'}
            assert seen == {**dict.fromkeys(refused, 'refused'), 'form': 'sent'}
        other.shutdown()
    page.get(stand.url.replace('127.0.0.1', 'rebound.example'))
    assert 'is not this machine' in page.page_source and 'token' not in page.page_source
    page.get_log('browser')  # what that page was refused is no fault of ours
    page.close()
    page.switch_to.window(ours)
    assert not stand.asked


def test_a_chosen_scene_is_set_and_shown(page, stand):
    page.find_element('css selector', 'select[name="object:mug"] option[value=teapot]').click()
    seed = page.find_element('name', 'seed')
    seed.clear()
    seed.send_keys('7')
    page.find_element('css selector', '#scene button').click()
    until(lambda: text(page, 'answer'), lambda shown: shown == 'the scene has mug')
    request = stand.asked[-1]
    assert (request.objects[0].id, request.objects[0].mesh) == ('mug', 'teapot')
    assert request.noise_seed == 7
    probe = partial(page.execute_script, SHOWN_IMAGE, 'video')
    until(probe, lambda seen: seen and seen['mean'][2] > seen['mean'][0] + 20)


def test_a_recording_is_started_shown_and_stopped(page, bags):
    start, stop = (page.find_element('id', f'record-{name}') for name in ('start', 'stop'))
    assert start.is_displayed() and not stop.is_displayed()
    start.click()
    until(stop.is_displayed)
    assert not start.is_displayed()
    # Long enough for the recorder to have discovered the topics on a busy machine.
    seconds = partial(re.fullmatch, r'0:(?:0[5-9]|[1-5]\d) into (.+)')
    bag = Path(seconds(until(lambda: text(page, 'recording'), seconds))[1])
    assert bag.parent == bags
    stop.click()
    answer = until(lambda: text(page, 'record-answer'), lambda shown: 'is complete' in shown)
    until(start.is_displayed)
    assert str(bag) in answer and '/object_poses' in answer
    assert not BagReader(bag).truncated


def test_nothing_was_wrong_on_the_page(page):
    assert page.get_log('browser') == []


def test_it_goes_on_after_the_viewer_was_restarted(page, stand):
    page.viewer.stop()
    until(lambda: text(page, 'state'), lambda shown: shown == 'the viewer does not answer')
    before = page.find_element('name', 'token').get_attribute('value')
    with stand.viewer() as process:
        process.wait_for('serving http', READY_S)
        token = "return document.getElementsByName('token')[0].value"
        until(partial(page.execute_script, token), lambda seen: seen != before)
        video_moves(page)
        until(partial(page.find_elements, 'css selector', 'select[name="object:mug"]'))
        page.find_element('css selector', '#scene button').click()
        until(lambda: text(page, 'answer'), lambda shown: shown == 'the scene has mug')
        until(lambda: text(page, 'record-answer'))
        for name in ('start', 'stop'):
            button = page.find_element('id', f'record-{name}')
            assert not button.is_displayed() and 'record_folder' in button.get_attribute('title')
