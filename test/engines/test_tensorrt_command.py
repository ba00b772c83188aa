"""`python -m centertrack_ros.engines.tensorrt` builds ahead of time."""

from __future__ import annotations

import sys

import pytest
from tensorrt_models import rtx_library, small_spec, write_half, write_small_model

from centertrack_ros.engines.tensorrt.__main__ import main
from centertrack_ros.engines.tensorrt.cache import read_header


@pytest.fixture
def command(tmp_path, spec, monkeypatch):
    """Run the command with the small model; the first argument is the model."""
    rtx_library()
    model = write_small_model(tmp_path / 'small.onnx')
    small_spec(spec).save(tmp_path / 'small.json')

    def run(*arguments):
        fixed = ['--library', 'tensorrt_rtx', '--cache', str(tmp_path / 'cache')]
        monkeypatch.setattr(sys, 'argv', ['tensorrt', str(model), *fixed, *arguments])
        return main()

    run.model = model
    return run


def test_progress_size_and_time_are_printed(command, tmp_path, capsys):
    assert command('--batch', '1:2:4', '--compute-capability', '8.6') == 0
    output = capsys.readouterr().out
    (path,) = (tmp_path / 'cache').iterdir()
    header = read_header(path)
    assert header.profile.batch == (1, 2, 4)
    assert header.identity.target == 'sm86'
    for part in (str(path), f'{header.size / 2**20:.1f} MiB', f'{header.seconds:.1f} s', 'steps'):
        assert part in output


def test_size_of_the_camera_gives_the_input_it_is_scaled_to(model_path, tmp_path, monkeypatch):
    rtx_library()
    arguments = ['tensorrt', str(model_path), '--library', 'tensorrt_rtx', '--precision', 'fp32']
    options = ['--cache', str(tmp_path), '--image-size', '1920x1080']
    monkeypatch.setattr(sys, 'argv', arguments + options)
    assert main() == 0
    (path,) = tmp_path.iterdir()
    profile = read_header(path).profile
    assert (profile.height, profile.width) == ((352,) * 3, (640,) * 3)


def test_auto_takes_the_half_precision_file_beside_the_model(command, tmp_path, caplog):
    assert command() == 0
    assert 'precision auto: fp32, which is slower' in caplog.text
    write_half(command.model, tmp_path / 'small.fp16.onnx')
    assert command() == 0
    precisions = {read_header(path).identity.precision for path in (tmp_path / 'cache').iterdir()}
    assert precisions == {'fp32', 'fp16'}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--precision', 'int8'], 'training.quantize'),
        (['--compute-capability', '9.0'], 'received 90'),
        (['--batch', '4:2:1'], 'batch: expected 1 <= smallest'),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(command, capsys, tmp_path, arguments, message):
    assert command(*arguments) == 1
    output = capsys.readouterr().err
    assert message in output
    assert len(output.splitlines()) == 1
    assert not (tmp_path / 'cache').exists()


@pytest.mark.parametrize(
    'arguments', [['--batch', '1:2'], ['--image-size', '640'], ['--compute-capability', 'ampere']]
)
def test_malformed_values_are_named(command, capsys, arguments):
    with pytest.raises(SystemExit):
        command(*arguments)
    assert f"received '{arguments[1]}'" in capsys.readouterr().err
