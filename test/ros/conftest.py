"""Every test here runs on real ROS 2 in a DDS domain of its own."""

import importlib.util
import os
import zlib

import pytest

# Before anything imports a message: type mistakes fail as they do on Humble.
os.environ['ROS_PYTHON_CHECK_FIELDS'] = '1'
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

DOMAINS = 102  # 0 to 101 fit into the port range of every system
DOMAINS_PER_WORKER = 12
NEEDED = ('rclpy', 'sensor_msgs', 'vision_msgs')
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]


class ModuleWithoutRos(pytest.Module):
    """Stands for a test module that cannot be imported."""

    def collect(self):
        pytest.skip(f'needs ROS 2: {", ".join(MISSING)} cannot be imported')


def pytest_configure(config):
    config.addinivalue_line('markers', 'ros: talks through real ROS 2 topics')


def pytest_pycollect_makemodule(module_path, parent):
    if MISSING:
        return ModuleWithoutRos.from_parent(parent, path=module_path)
    return None


def pytest_collection_modifyitems(items):
    for item in items:
        if 'domain_id' in getattr(item, 'fixturenames', ()):
            item.add_marker('ros')


class DomainCounter:
    """Deals out domains so that neighbours in time, workers and test runs do not meet."""

    def __init__(self):
        worker = os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw')
        run = os.environ.get('PYTEST_XDIST_TESTRUNUID', str(os.getpid()))
        self._first = zlib.crc32(run.encode()) + int(worker) * DOMAINS_PER_WORKER
        self._count = 0

    def next(self):
        self._count += 1
        return (self._first + self._count % DOMAINS_PER_WORKER) % DOMAINS


@pytest.fixture(scope='session')
def domain_counter():
    return DomainCounter()


@pytest.fixture
def domain_id(domain_counter):
    return domain_counter.next()
