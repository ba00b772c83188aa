"""The set-up script: what it says when it fails, and what the next run makes of that."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def setup(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'scripts'))
    import setup_environment

    return setup_environment


@pytest.fixture
def support(setup):
    import setup_support

    return setup_support


class Steps:
    """Stands in for the slow steps: notes which ones ran, fails those named in `broken`."""

    def __init__(self, error):
        self.ran = []
        self.broken = set()
        self._error = error

    def stand_in(self, name):
        def run(*arguments):
            self.ran.append(name)
            if name in self.broken:
                raise self._error(f'{name} failed')

        return run

    def take(self):
        ran, self.ran = self.ran, []
        return ran


@pytest.fixture
def steps(setup, monkeypatch):
    steps = Steps(setup.SetupError)
    base = setup.BasePython(sys.executable, '3.11.0', provides_ros=False)
    monkeypatch.setattr(setup, 'find_base_python', lambda venv: base)
    for function, name in [
        ('check_build_tools', 'tools'),
        ('install_packages', 'packages'),
        ('build_overlay', 'overlay'),
        ('run_logged', 'check'),
        ('install_test_packages', 'tests'),
    ]:
        monkeypatch.setattr(setup, function, steps.stand_in(name))
    return steps


def test_second_run_does_nothing(setup, steps, tmp_path):
    assert setup.set_up(tmp_path, with_tests=True)
    assert steps.take() == ['tools', 'packages', 'overlay', 'check', 'tests']
    assert not setup.set_up(tmp_path, with_tests=True)
    assert steps.take() == []


def test_test_packages_are_added_to_a_runtime_environment(setup, steps, tmp_path):
    setup.set_up(tmp_path, with_tests=False)
    steps.take()
    setup.set_up(tmp_path, with_tests=True)
    assert steps.take() == ['tests']


@pytest.mark.parametrize(
    ('broken', 'redone'),
    [
        ('tools', ['tools', 'packages', 'overlay', 'check']),
        ('packages', ['tools', 'packages', 'overlay', 'check']),
        ('overlay', ['tools', 'overlay', 'check']),
        ('check', ['tools', 'overlay', 'check']),
    ],
)
def test_next_run_goes_on_at_the_step_that_failed(setup, steps, tmp_path, broken, redone):
    steps.broken = {broken}
    with pytest.raises(setup.SetupError):
        setup.set_up(tmp_path, with_tests=False)
    steps.take()
    steps.broken = set()
    assert setup.set_up(tmp_path, with_tests=False)
    assert steps.take() == redone


def test_changed_overlay_is_built_again(setup, steps, tmp_path, monkeypatch):
    overlay = tmp_path / 'overlay'
    overlay.mkdir()
    message = overlay / 'A.msg'
    message.write_text('float64 x')
    monkeypatch.setattr(setup, 'OVERLAY', overlay)
    setup.set_up(tmp_path, with_tests=False)
    steps.take()
    message.write_text('float32 x')
    setup.set_up(tmp_path, with_tests=False)
    assert steps.take() == ['tools', 'overlay', 'check']


def test_says_all_that_is_missing_at_once(setup, monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.delenv('CC', raising=False)
    monkeypatch.delenv('CXX', raising=False)
    base = setup.BasePython(sys.executable, '3.11.0', provides_ros=False)
    with pytest.raises(setup.SetupError) as caught:
        setup.check_build_tools(base)
    for hint in ('install g++', 'install gcc', 'install make', 'install cmake'):
        assert hint in str(caught.value)


def test_says_why_no_python_will_do(setup, support, monkeypatch, tmp_path):
    def refuse(command, environment):
        return support.subprocess.CompletedProcess(
            command, 1, '', 'AssertionError: is Python 3.12'
        )

    monkeypatch.setattr(setup, 'run_quietly', refuse)
    with pytest.raises(setup.SetupError, match=r'is Python 3.12(.|\n)*python3.11-venv'):
        setup.find_base_python(tmp_path)


def test_folder_that_is_no_environment_is_left_alone(setup, tmp_path):
    (tmp_path / 'precious').touch()
    base = setup.BasePython(sys.executable, '3.11.0', provides_ros=False)
    with pytest.raises(setup.SetupError, match='no virtual environment'):
        setup.create_venv(base, tmp_path, tmp_path / 'setup.log')
    assert (tmp_path / 'precious').exists()


@pytest.mark.parametrize(
    ('said', 'expected'),
    [
        ('Failed ...: [Errno -2] Name or service not known', 'cannot be reached'),
        ('ERROR: No matching distribution found for ros-rclpy==9.1.2', 'ros-rclpy==9.1.2'),
        ('OSError: [Errno 28] No space left on device', 'disk is full'),
        ('something else', 'exit status 3'),
    ],
)
def test_failed_command_is_explained(support, tmp_path, said, expected):
    log = tmp_path / 'new' / 'setup.log'
    command = [sys.executable, '-c', f'print({said!r}); raise SystemExit(3)']
    with pytest.raises(support.SetupError, match=expected):
        support.run_logged(command, None, log)
    assert said in log.read_text()
