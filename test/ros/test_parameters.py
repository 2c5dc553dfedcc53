"""One dataclass per node defines its parameters, for files, tables and changes at run time."""

from dataclasses import fields
from pathlib import Path

import pytest
import rclpy
import yaml
from rclpy.node import Node
from rclpy.parameter import Parameter

from manivideo_ros.ros.declare_parameters import check_change, check_values, declare, read
from manivideo_ros.ros.parameters import (
    ALL,
    CameraParameters,
    HandSourceParameters,
    NodeParameters,
    PlayerParameters,
)
from tools.reference import parameters as table

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def context():
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


def node(context, **overrides):
    return Node(
        'some',
        context=context,
        parameter_overrides=[Parameter(name, value=value) for name, value in overrides.items()],
    )


@pytest.mark.parametrize('kind', ALL.values(), ids=ALL)
def test_defaults_are_the_dataclass(kind, context):
    got, defaults = declare(node(context), kind), kind()
    for name in kind.__dataclass_fields__:
        default = getattr(defaults, name)
        assert getattr(got, name) == (() if default == ('',) else default), name


def test_lists_with_an_empty_string_are_empty(context):
    assert declare(node(context), NodeParameters).scene_folders == ()


@pytest.mark.parametrize('kind', ALL.values(), ids=ALL)
def test_every_descriptor_has_description_range_and_choices(kind, context):
    some = node(context)
    declare(some, kind)
    for entry in fields(kind):
        descriptor = some.describe_parameter(entry.name)
        assert len(descriptor.description) > 5, entry.name
        assert ('read at startup' in descriptor.description) != entry.metadata['live'], entry.name
        if entry.type == 'int':
            assert descriptor.integer_range, entry.name
        if entry.type == 'float':
            assert descriptor.floating_point_range, entry.name
        assert descriptor.additional_constraints.startswith('one of ') == bool(
            entry.metadata['choices']
        )


def test_a_value_outside_the_choices_is_refused_with_them(context):
    with pytest.raises(ValueError, match="kind: 'drone' is not one of look_at, orbit, wrist"):
        declare(node(context, kind='drone'), CameraParameters)
    assert declare(node(context, axes=''), HandSourceParameters).axes == ''


@pytest.mark.parametrize('kind', ALL.values(), ids=ALL)
def test_parameters_read_at_startup_are_refused_later(kind, context):
    some = node(context)
    declare(some, kind)
    others = {bool: lambda v: not v, str: lambda v: f'{v}x', int: lambda v: v + 1}
    fixed = next(e for e in fields(kind) if not e.metadata['live'] and not e.metadata['choices'])
    value = some.get_parameter(fixed.name).value
    other = others.get(type(value), lambda v: [*v, 'x'])(value)
    result = some.set_parameters([Parameter(fixed.name, value=other)])[0]
    assert not result.successful
    assert result.reason == f'{fixed.name} is read at startup: restart the node to change it'


@pytest.mark.parametrize('kind', ALL.values(), ids=ALL)
def test_present_values_can_be_set_again(kind, context):
    some = node(context)
    declare(some, kind)
    names = [*some._parameters]  # rclpy's own, too
    assert len(names) > len(fields(kind))
    values = [some.get_parameter(name) for name in names]
    assert all(result.successful for result in some.set_parameters(values))


def test_parameters_that_are_not_read_yet_can_be_set(context):
    some, read_already = node(context), []
    declare(some, NodeParameters, lambda name: name != 'autostart' and not read_already)

    def change(name, value):
        return some.set_parameters([Parameter(name, value=value)])[0]

    assert change('threads', 3).successful and change('object_ids', ['cup']).successful
    assert read(some, NodeParameters).object_ids == ('cup',)
    assert '99' in change('threads', 99).reason
    assert not change('autostart', False).successful
    read_already.append(True)
    assert not change('threads', 2).successful and change('threads', 3).successful


def test_a_further_check_can_refuse_a_change(context):
    def check(changed):
        if changed.get('engine') == 'none':
            raise ValueError('engine: there is none')

    some = node(context)
    declare(some, NodeParameters, also=check)
    results = [some.set_parameters([Parameter('engine', value=v)])[0] for v in ('none', 'tiny_cpu')]
    assert [r.successful for r in results] == [False, True]
    assert results[0].reason == 'engine: there is none'


def test_a_string_instead_of_a_list_is_refused_with_a_fix(context):
    why = r'''object_ids: must be a list, is 'mug': write "\[mug\]"'''
    with pytest.raises(ValueError, match=why):
        declare(node(context, object_ids='mug'), NodeParameters)


def test_an_unknown_parameter_is_reported(context, capfd):
    some = node(context, enigne='tiny', threads=1)
    declare(some, NodeParameters)
    logged = capfd.readouterr().err
    assert (
        'enigne: some has no such parameter: its value is not used; did you mean engine?' in logged
    )
    assert logged.count('no such parameter') == 1


def test_a_former_name_sets_the_parameter_with_one_warning(context, capfd):
    some = node(context, appearance_seed=3, hand_appearance='hand.png', noise_seed=4)
    got = declare(some, NodeParameters, unlocked=lambda name: True)
    assert (got.noise_seed, got.hand_reference) == (4, 'hand.png'), 'the present name wins'
    output = capfd.readouterr().err
    assert output.count('parameter appearance_seed is now called noise_seed') == 1
    assert output.count('parameter hand_appearance is now called hand_reference') == 1
    for seed in (5, 6):
        assert some.set_parameters([Parameter('appearance_seed', value=seed)])[0].successful
        assert read(some, NodeParameters).noise_seed == seed
    assert not capfd.readouterr().err
    (refused,) = some.set_parameters([Parameter('appearance_seed', value=-1)])
    assert 'noise_seed' in refused.reason
    assert not some.has_parameter('appearance_seed')


def test_a_former_name_is_warned_of_once_while_the_node_runs(context, capfd):
    some = node(context)
    declare(some, NodeParameters, unlocked=lambda name: True)
    for name in ('a.png', 'b.png'):
        some.set_parameters([Parameter('hand_appearance', value=name)])
    assert read(some, NodeParameters).hand_reference == 'b.png'
    assert capfd.readouterr().err.count('is now called hand_reference') == 1


def test_a_file_may_hold_former_names():
    check_values({'appearance_seed': 3, 'hand_appearance': 'hand.png'}, NodeParameters)
    with pytest.raises(ValueError, match='noise_seed: -1'):
        check_values({'appearance_seed': -1}, NodeParameters)


def test_every_parameter_is_described(context):
    some = node(context)
    declare(some, NodeParameters)
    for name in ('autostart', 'hold_s', 'threads'):
        assert some.describe_parameter(name).description
    assert some.describe_parameter('threads').integer_range[0].to_value == 64
    assert some.describe_parameter('hold_s').floating_point_range[0].to_value == 5.0


def test_integers_are_accepted_for_floats(context):
    assert declare(node(context, hold_s=1), NodeParameters).hold_s == 1.0
    assert declare(node(context, object_scales=[1]), NodeParameters).object_scales == (1.0,)


@pytest.mark.parametrize(
    'wrong',
    [{'hold_s': -1.0}, {'hold_s': 'long'}, {'threads': 0}, {'threads': 2.5}, {'checkpoint': 3}],
)
def test_invalid_values_are_refused_with_their_name(wrong, context):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        declare(node(context, **wrong), NodeParameters)


@pytest.mark.parametrize(
    ('name', 'value', 'accepted'),
    [
        ('hold_s', 0.4, True),
        ('hold_s', 1, True),
        ('hold_s', 9.0, False),
        ('jpeg_quality', 101, False),
        ('jpeg_quality', 80, True),
        ('checkpoint', 'other', True),
        ('threads', 3, False),
        ('autostart', False, False),
    ],
)
def test_changes_while_running(name, value, accepted, context):
    some = node(context)
    declare(some, NodeParameters)
    some.add_on_set_parameters_callback(lambda changes: check_change(NodeParameters, changes))
    result = some.set_parameters([Parameter(name, value=value)])[0]
    assert result.successful == accepted
    assert accepted or result.reason
    assert (getattr(read(some, NodeParameters), name) == value) == accepted


def test_refused_changes_have_a_reason():
    assert 'hold_s' in check_change(NodeParameters, [Parameter('hold_s', value=9.0)]).reason
    assert 'startup' in check_change(PlayerParameters, [Parameter('motion', value='m')]).reason


@pytest.mark.parametrize('file', sorted((ROOT / 'config').glob('*.yaml')), ids=lambda f: f.name)
def test_configuration_files_hold_parameters_only(file):
    for name, content in yaml.safe_load(file.read_text()).items():
        check_values(content['ros__parameters'], ALL[name.rpartition('/')[2]])


def test_a_misspelt_parameter_in_a_file_is_refused():
    with pytest.raises(ValueError, match='holds_s'):
        check_values({'holds_s': 1.0}, NodeParameters)


def test_the_table_lists_them_all():
    rows = table().splitlines()[2:]
    assert len(rows) == sum(len(kind.__dataclass_fields__) for kind in ALL.values())


def test_the_reference_holds_the_table():
    reference = (ROOT / 'docs' / 'reference.md').read_text()
    assert table() in reference, 'run: python -m tools.reference'
