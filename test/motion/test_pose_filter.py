"""The pose filter: it removes noise, hardly delays, and leaves exact poses and jumps alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manivideo_ros.geometry import axis_angle_to_matrix, matrix_to_axis_angle, rigid
from manivideo_ros.hand.state import HandState
from manivideo_ros.motion import pose_filter
from manivideo_ros.motion.pose_filter import (
    GAP_NS,
    POINTS,
    ROTATIONS,
    START,
    Filter,
    HandFilter,
    RigidFilter,
)

FRAME_NS = 33_333_333
METRES, RADIANS = 0.003 / 3**0.5, np.radians(3) / 3**0.5  # along each axis: 3 mm, 3 degrees


def times(frames):
    return np.arange(frames) * FRAME_NS * 1e-9


def run(filter_, poses, stamps=None):
    stamps = np.arange(len(poses)) * FRAME_NS if stamps is None else stamps
    return np.stack([filter_.add(int(t), p) for t, p in zip(stamps, poses, strict=True)])


def swing(seconds):
    """Points [F, 1, 3] that move to and fro by 30 cm in 4 s, at 0.25 m/s at most."""
    x, y = 0.15 * np.sin(1.6 * seconds), 0.05 * np.cos(2.2 * seconds)
    return np.stack([x, y, 0 * seconds], -1)[:, None]


def turning(seconds):
    """Rotations [F, 1, 3, 3] about a moving axis."""
    return axis_angle_to_matrix(6 * swing(seconds)[:, 0])[:, None]


CASES = {'points': (POINTS, swing, METRES), 'rotations': (ROTATIONS, turning, RADIANS)}


def noisy(space, poses, noise, seed=0, copies=20):
    many = np.repeat(poses, copies, 1)
    offsets = np.random.default_rng(seed).normal(size=(len(poses), copies, 3)) * noise
    return many, space.moved(many, offsets), offsets


def step(values):
    return np.sqrt(np.mean(np.diff(values[15:], axis=0) ** 2))


@pytest.mark.parametrize(('kind', 'left'), [('points', 0.45), ('rotations', 0.4)])
def test_little_of_the_noise_is_left_from_frame_to_frame(kind, left):
    space, motion, noise = CASES[kind]
    clean, measured, offsets = noisy(space, motion(times(200)), noise)
    output = run(Filter(space), measured)
    assert step(space.apart(clean, output)) < left * step(offsets)


@pytest.mark.parametrize('kind', CASES)
def test_at_rest_less_is_left(kind):
    space, motion, noise = CASES[kind]
    clean, measured, offsets = noisy(space, np.repeat(motion(times(1)), 200, 0), noise)
    assert step(space.apart(clean, run(Filter(space), measured))) < 0.35 * step(offsets)


@pytest.mark.parametrize('kind', CASES)
def test_motion_is_delayed_by_15_ms_at_most(kind):
    space, motion, noise = CASES[kind]
    seconds = times(300)
    _, measured, _ = noisy(space, motion(seconds), noise)
    output = run(Filter(space), measured)
    lags = np.arange(-0.01, 0.0401, 0.0025)
    costs = [
        np.mean(space.apart(np.repeat(motion(seconds - lag), 20, 1), output)[15:] ** 2)
        for lag in lags
    ]
    assert lags[np.argmin(costs)] <= 0.015


@pytest.mark.parametrize('kind', CASES)
def test_exact_poses_pass_as_they_are(kind):
    space, motion, _ = CASES[kind]
    poses = motion(times(200))
    errors = np.linalg.norm(space.apart(poses, run(Filter(space), poses)), axis=-1)
    assert errors.mean() < 5e-4 and errors.max() < 3e-3


@given(
    st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    st.lists(st.integers(5, 200), min_size=20, max_size=30),
)
@settings(max_examples=20, deadline=None)
def test_constant_velocity_is_unharmed_at_irregular_times(velocity, steps_ms):
    stamps = np.cumsum(steps_ms) * 1_000_000
    moved = 1e-9 * stamps[:, None] * np.array(velocity)
    points, rotations = moved[:, None], axis_angle_to_matrix(moved)[:, None]
    np.testing.assert_allclose(run(Filter(POINTS), points, stamps), points, atol=1e-5)
    np.testing.assert_allclose(run(Filter(ROTATIONS), rotations, stamps), rotations, atol=1e-5)


@pytest.mark.parametrize('space', [POINTS, ROTATIONS], ids=['points', 'rotations'])
def test_it_follows_the_plain_implementation(space):
    rng = np.random.default_rng(3)
    stamps = np.cumsum(rng.integers(5, 80, 120)) * 1_000_000
    scale = 0.002 if space is POINTS else 0.03
    path = np.cumsum(rng.normal(size=(120, 4, 3)), 0) * scale
    path[60:, 2] += 1.5  # a jump of one of them
    poses = path if space is POINTS else axis_angle_to_matrix(path)
    output = run(Filter(space), poses, stamps)
    for item in range(4):
        expected = plain(space, stamps, poses[:, item])
        np.testing.assert_allclose(output[:, item], expected, rtol=0, atol=1e-10)


def plain(space, stamps, measured):
    """One item, step by step, with matrices in place of the closed form."""
    output, squares, state = [], [], None
    for k, z in enumerate(measured):
        if k >= 3:
            four = stamps[k - 3 : k + 1] * 1e-9
            weights = [
                1 / np.prod([a - b for j, b in enumerate(four) if j != i])
                for i, a in enumerate(four)
            ]
            weights = np.array(weights) / np.sqrt(sum(w**2 for w in weights))
            offsets = [space.apart(measured[k - 1], measured[k - 3 + i]) for i in range(4)]
            difference = sum(w * offset for w, offset in zip(weights, offsets, strict=True))
            squares = [*squares, difference @ difference / 3][-pose_filter.NOISE_WINDOW :]
        if k < START - 1:
            output.append(z)
            continue
        noise = max(np.median(squares) / pose_filter._MEDIAN, pose_filter._LEAST_NOISE**2)
        if state is None:
            seconds = (stamps[k] - stamps[0]) * 1e-9
            velocity = space.apart(measured[0], z) / seconds
            p = noise * np.array([[1, 1 / seconds], [1 / seconds, 2 / seconds**2]])
            p[1, 1] += space.process**2 * seconds
            state = z, velocity, p, np.zeros(3)
            output.append(z)
            continue
        x, velocity, p, mean = state
        dt = (stamps[k] - stamps[k - 1]) * 1e-9
        forward = np.array([[1, dt], [0, 1]])
        density = (space.process + pose_filter._PER_SPEED * np.linalg.norm(velocity)) ** 2
        added = density * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        x = space.moved(x, velocity * dt)
        innovation = space.apart(x, z)
        mean = pose_filter._MEMORY * mean + (1 - pose_filter._MEMORY) * innovation
        p = forward @ p @ forward.T
        most = pose_filter._UNEXPECTED * (noise + added[0, 0])
        p = p * max(1, (mean @ mean / 3 - most) / p[0, 0]) + added
        gain = p[:, 0] / (p[0, 0] + noise)
        lag = min(space.lag_s * (1 - gain[0]), dt)
        x, velocity = space.moved(x, gain[0] * innovation), velocity + gain[1] * innovation
        p = (np.eye(2) - np.outer(gain, [1, 0])) @ p
        if np.linalg.norm(innovation) > space.jump:
            x, velocity, mean = z, np.zeros(3), np.zeros(3)
            p = np.diag([noise, pose_filter._UNKNOWN])
        output.append(space.moved(x, -lag * velocity))
        state = x, velocity, p, mean
    return np.array(output)


rotation_vectors = st.lists(st.floats(-3, 3), min_size=3, max_size=3)


@given(rotation_vectors, rotation_vectors, st.lists(st.floats(-5, 5), min_size=3, max_size=3))
@settings(max_examples=15, deadline=None)
def test_the_choice_of_axes_does_not_matter(left, right, shift):
    """Of the world; for rotations also of the body."""
    a, b = axis_angle_to_matrix(left), axis_angle_to_matrix(right)
    _, rotations, _ = noisy(ROTATIONS, turning(times(40)), RADIANS, copies=2)
    expected = a @ run(Filter(ROTATIONS), rotations) @ b
    np.testing.assert_allclose(run(Filter(ROTATIONS), a @ rotations @ b), expected, atol=1e-6)
    _, points, _ = noisy(POINTS, swing(times(40)), METRES, copies=2)
    expected = run(Filter(POINTS), points) @ a.T + shift
    np.testing.assert_allclose(run(Filter(POINTS), points @ a.T + shift), expected, atol=1e-8)


def test_rotations_stay_rotations():
    _, measured, _ = noisy(ROTATIONS, turning(times(100)), RADIANS)
    output = run(Filter(ROTATIONS), measured)
    np.testing.assert_allclose(output @ output.swapaxes(-1, -2) - np.eye(3), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(output), 1, atol=1e-12)


@pytest.mark.parametrize('kind', CASES)
@pytest.mark.parametrize('pause_ns', [GAP_NS + 1, -1_000_000_000, 0])
def test_it_starts_again_after_a_gap_and_when_the_clock_goes_back(kind, pause_ns):
    space, motion, noise = CASES[kind]
    _, measured, _ = noisy(space, motion(times(60)), noise)
    used, fresh = Filter(space), Filter(space)
    run(used, measured[:30])
    stamps = 29 * FRAME_NS + pause_ns + np.arange(30) * FRAME_NS
    after = run(used, measured[30:], stamps)
    np.testing.assert_array_equal(after[:START], measured[30 : 30 + START])
    np.testing.assert_array_equal(after, run(fresh, measured[30:], stamps))


def test_a_pause_as_long_as_the_gap_goes_on():
    _, measured, _ = noisy(POINTS, swing(times(31)), METRES)
    used = Filter(POINTS)
    run(used, measured[:30])
    assert not np.array_equal(used.add(29 * FRAME_NS + GAP_NS, measured[30]), measured[30])


@pytest.mark.parametrize('kind', CASES)
def test_a_jump_is_taken_as_it_is_and_leaves_the_others(kind):
    space, motion, noise = CASES[kind]
    _, measured, _ = noisy(space, motion(times(60)), noise, copies=2)
    jumped = measured.copy()
    jumped[30:, 1] = space.moved(measured[30:, 1], np.full((30, 3), 0.9))
    output, undisturbed = run(Filter(space), jumped), run(Filter(space), measured)
    np.testing.assert_array_equal(output[30, 1], jumped[30, 1])
    np.testing.assert_array_equal(output[:, 0], undisturbed[:, 0])
    away = space.apart(jumped[31:, 1:], output[31:, 1:])
    assert np.linalg.norm(away, axis=-1).max() < 0.1 * space.jump + 4 * noise


def hand(position, theta, elbow=None):
    return HandState(
        np.asarray(theta, np.float32),
        np.arange(10, dtype=np.float32),
        np.eye(3, dtype=np.float32),
        np.asarray(position, np.float32),
        elbow,
    )


def hands(frames, seed=0):
    rng = np.random.default_rng(seed)
    return [hand(METRES * rng.normal(size=3), RADIANS * rng.normal(size=45)) for _ in range(frames)]


def test_the_noise_of_a_hand_is_removed_and_its_shape_is_kept():
    filter_, states = HandFilter(), hands(90)
    output = [filter_.add(k * FRAME_NS, state) for k, state in enumerate(states)]
    for name in ('theta', 'wrist_position'):
        before, after = (np.array([getattr(s, name) for s in each]) for each in (states, output))
        assert step(after) < 0.35 * step(before)
        assert after.dtype == before.dtype
    assert all(a.betas is b.betas for a, b in zip(output, states, strict=True))
    assert output[-1].elbow is None and output[-1].wrist_rotation.dtype == np.float32


def test_betas_may_change_at_any_time():
    filter_ = HandFilter()
    for k, state in enumerate(hands(20)):
        output = filter_.add(k * FRAME_NS, replace(state, betas=np.full(10, k)))
        assert output.betas[0] == k


def test_an_elbow_may_come_and_go():
    filter_ = HandFilter()
    for k, state in enumerate(hands(60)):
        elbow = np.array([0.0, 0.2, 0.01 * k]) if k % 20 < 10 else None
        output = filter_.add(k * FRAME_NS, replace(state, elbow=elbow))
        assert (output.elbow is None) == (elbow is None)
        if elbow is not None:
            np.testing.assert_allclose(output.elbow, elbow, atol=1e-5)


def test_what_is_given_is_not_changed():
    filter_, state = HandFilter(), hands(1)[0]
    kept = [np.array(v) for v in (state.theta, state.wrist_rotation, state.wrist_position)]
    for k in range(20):
        filter_.add(k * FRAME_NS, state)
    for before, after in zip(
        kept, (state.theta, state.wrist_rotation, state.wrist_position), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_the_pose_of_an_object_is_filtered():
    rng = np.random.default_rng(1)
    turns = axis_angle_to_matrix(RADIANS * rng.normal(size=(90, 3)))
    poses = rigid(turns, METRES * rng.normal(size=(90, 3))).astype(np.float32)
    output = run(RigidFilter(), poses)
    assert output.dtype == np.float32
    assert step(output[:, :3, 3]) < 0.35 * step(poses[:, :3, 3])
    turned = (matrix_to_axis_angle(each[:, :3, :3]) for each in (output, poses))
    after, before = (step(each) for each in turned)
    assert after < 0.35 * before
    np.testing.assert_array_equal(output[:, 3], poses[:, 3])
