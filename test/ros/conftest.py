"""Every test here runs on real ROS 2 in a DDS domain of its own."""

import fcntl
import importlib.util
import os
import random
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

# Before anything imports a message: type mistakes fail as they do on Humble.
os.environ['ROS_PYTHON_CHECK_FIELDS'] = '1'
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

DOMAINS = 102  # 0 to 101 fit into the port range of every system
NEEDED = ('rclpy', 'sensor_msgs', 'vision_msgs')
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]


class ModuleWithoutRos(pytest.Module):
    """Stands for a test module that cannot be imported."""

    def collect(self):
        pytest.skip(f'needs ROS 2: {", ".join(MISSING)} cannot be imported')


def pytest_pycollect_makemodule(module_path, parent):
    if MISSING:
        return ModuleWithoutRos.from_parent(parent, path=module_path)
    return None


def pytest_collection_modifyitems(items):
    for item in items:
        if 'domain_id' in getattr(item, 'fixturenames', ()):
            item.add_marker('ros')


@contextmanager
def reserved_domain(start):
    """Keep a domain to one test: neither another test nor a node that runs anyway may be in it."""
    for offset in range(DOMAINS):
        domain = (start + offset) % DOMAINS
        path = Path(tempfile.gettempdir()) / f'centertrack_ros_domain_{domain}.lock'
        with path.open('w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if not is_occupied(domain):
                yield domain
                return
    raise RuntimeError(f'all {DOMAINS} DDS domains are in use')


def is_occupied(domain):
    """True if a DDS participant of this machine has the first port of the domain."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', 7400 + 250 * domain + 10))
        except OSError:
            return True
    return False


@pytest.fixture(scope='session')
def random_domains():
    # Not the seeded generator of a test: parallel runs shall begin at different domains.
    return random.SystemRandom()


@pytest.fixture
def domain_id(random_domains):
    with reserved_domain(random_domains.randrange(DOMAINS)) as domain:
        yield domain
