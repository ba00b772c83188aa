"""Built engines are found again, and built again where they are stale, foreign or damaged."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from tensorrt_models import rtx_library, small_spec, write_small_model

from centertrack_ros.engines.tensorrt.cache import (
    Header,
    Identity,
    find_engines,
    kernels_path,
    read_engine,
    read_header,
    tightest,
    write_engine,
)
from centertrack_ros.engines.tensorrt.plans import build_only
from centertrack_ros.engines.tensorrt.profiles import Profile, Range, exact_profile

PROFILE = exact_profile((96, 160), (1, 1, 1))


@pytest.fixture
def build(tmp_path, spec):
    """Build the small model; calls are answered with path, header and the lines reported."""
    rtx_library()
    model = write_small_model(tmp_path / 'small.onnx')

    def run(**options):
        lines = []
        arguments = {'precision': 'fp32', 'library': 'tensorrt_rtx', **options}
        path, header = build_only(
            model,
            small_spec(spec),
            folder=tmp_path / 'cache',
            report=lines.append,
            **arguments,
        )
        return path, header, lines

    run.model = model
    return run


def _built(lines):
    return any(line.startswith('built in') for line in lines)


def test_second_time_nothing_is_built(build):
    path, header, lines = build()
    assert _built(lines)
    assert header.size == len(read_engine(path))
    written = path.stat().st_mtime_ns
    again, same, lines = build()
    assert (again, same) == (path, header)
    assert lines == [f'{path} is up to date']
    assert path.stat().st_mtime_ns == written
    assert list(path.parent.iterdir()) == [path]


def test_each_profile_target_and_precision_has_its_own(build):
    paths = {
        build()[0],
        build(batch=Range(1, 2, 4))[0],
        build(capabilities=(86,))[0],
    }
    assert len(paths) == 3
    for path in paths:
        assert path.is_file()
    (path,) = (path for path in paths if 'sm86' in path.name)
    assert read_header(path).identity.target == 'sm86'
    assert 'batch1-2-4' in ''.join(path.name for path in paths)


def test_changed_model_is_built_again_and_the_old_engine_removed(build, caplog):
    old, _, _ = build()
    kernels = kernels_path(old, 'NVIDIA RTX A2000 sm86')
    kernels.write_bytes(b'compiled')
    model = onnx.load(build.model)
    model.doc_string = 'trained for longer'
    onnx.save(model, build.model)
    with caplog.at_level(logging.INFO):
        new, _, lines = build()
    assert _built(lines)
    assert 'it was built from another small.onnx' in caplog.text
    assert f'removed {old}: the model file has changed since' in caplog.text
    assert list(new.parent.iterdir()) == [new] != [old]


def test_engine_of_another_version_is_built_again(build, caplog):
    path, header, _ = build()
    other = replace(header.identity, version='1.0.0')
    assert write_engine(path.parent, replace(header, identity=other), read_engine(path)) == path
    with caplog.at_level(logging.INFO):
        again, same, lines = build()
    assert again == path
    assert same.identity == header.identity
    assert _built(lines)
    assert 'it was built with tensorrt_rtx 1.0.0, this is tensorrt_rtx' in caplog.text


def test_engine_of_another_gpu_is_not_used(build, caplog):
    path, header, _ = build(capabilities=(86,))
    renamed = path.with_name(path.name.replace('sm86', 'portable'))
    path.rename(renamed)
    with caplog.at_level(logging.INFO):
        _, new, lines = build()
    assert _built(lines)
    assert 'it was built for sm86' in caplog.text
    assert (header.identity.target, new.identity.target) == ('sm86', 'portable')


@pytest.mark.parametrize('kind', ['cut', 'empty', 'foreign', 'header'])
def test_damaged_file_is_built_again(build, caplog, kind):
    path, _, _ = build()
    content = path.read_bytes()
    damaged = {
        'cut': content[:-1],
        'empty': b'',
        'foreign': b'ftrt' + content,
        'header': content.replace(b'"profile"', b'"profits"', 1),
    }
    path.write_bytes(damaged[kind])
    _, header, lines = build()
    assert _built(lines)
    assert f'cached engine not used: {path}' in caplog.text
    assert header.size == len(read_engine(path))


def test_damage_inside_the_engine_is_noticed_when_it_is_read(build):
    path, header, _ = build()
    content = bytearray(path.read_bytes())
    content[-header.size // 2] ^= 1
    path.write_bytes(content)
    assert read_header(path) == header
    with pytest.raises(ValueError, match='the engine in it is damaged'):
        read_engine(path)


def test_failed_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError('no space left')

    monkeypatch.setattr(Path, 'replace', refuse)
    with pytest.raises(OSError, match='no space left'):
        write_engine(tmp_path, Header(_identity('a.onnx'), PROFILE, 1.0), b'engine')
    assert list(tmp_path.iterdir()) == []


def test_models_whose_names_begin_alike_stay_apart(tmp_path, caplog):
    long = write_engine(tmp_path, Header(_identity('net-large.onnx'), PROFILE, 1.0), b'x')
    with caplog.at_level(logging.INFO):
        short = write_engine(tmp_path, Header(_identity('net.onnx'), PROFILE, 1.0), b'y')
        found = find_engines(tmp_path, _identity('net.onnx'), lambda target: True)
    assert found == [(short, PROFILE)]
    assert long.is_file()
    assert 'not used' not in caplog.text


def test_header_is_one_line_that_people_can_read(tmp_path):
    path = write_engine(tmp_path, Header(_identity('net.onnx'), PROFILE, 2.5), b'engine')
    values = json.loads(path.read_bytes().splitlines()[1])
    assert values['identity']['source'] == 'net.onnx'
    assert values['profile']['height'] == [96, 96, 96]
    assert values['seconds'] == 2.5


def test_the_tightest_engine_is_taken():
    any_size = Profile(Range(1, 1, 1), Range(64, 96, 256), Range(64, 160, 256))
    batches = exact_profile((96, 160), (1, 4, 4))
    engines = [(Path('any'), any_size), (Path('exact'), PROFILE), (Path('batches'), batches)]
    assert tightest(engines, 1, 96, 160) == Path('exact')
    assert tightest(engines, 1, 128, 160) == Path('any')
    assert tightest(engines, 3, 96, 160) == Path('batches')
    assert tightest(engines, 5, 96, 160) is None


def _identity(source: str) -> Identity:
    return Identity(source, source.encode().hex(), 'tensorrt', '10.9', 'fp32', 'GPU sm86')
