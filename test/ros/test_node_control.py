"""Life cycle, resets, services and diagnostics of the node."""

import threading
import time

import numpy as np
from harness import clip_frames, ids, make_image, running
from lifecycle_msgs.srv import GetState
from std_srvs.srv import SetBool, Trigger

BLACK = np.zeros((120, 160, 3), np.uint8)


class EngineOutOfMemory:
    """An engine that fails as CUDA does when another program takes the memory."""

    name, device, precision, max_batch = 'broken', 'cuda:0', 'fp32', None

    def run(self, image, previous_image, prior_heatmap):
        raise RuntimeError('CUDA error: out of memory')

    def close(self):
        pass


def state(test):
    return test.client.call(GetState, '/tracker/get_state', GetState.Request()).current_state.label


def test_bag_loop_starts_anew_and_says_so_once(domain_id, capfd):
    frames = clip_frames(6)
    with running(domain_id) as test:
        first = test.client.send_frames(frames, start=100.0)
        again = test.client.send_frames(frames, start=100.0)
        values = test.client.next_status()
    assert [ids(answer) for answer in again] == [ids(answer) for answer in first]
    assert values['resets'] == '1'
    assert values['last_reset'] == 'time went back by 0.500 s'
    assert capfd.readouterr().err.count('tracker reset: time went back') == 1


def test_gap_and_new_image_size_start_anew(domain_id):
    frames = clip_frames(2)
    with running(domain_id, max_gap=1.0) as test:
        test.client.send(make_image(frames[0], 1.0))
        test.client.send(make_image(frames[1], 2.5))
        assert test.client.next_status()['last_reset'] == 'no image for 1.500 s (max_gap 1 s)'
        test.client.send(make_image(np.ascontiguousarray(frames[1][:400]), 2.6))
        values = test.client.next_status()
    assert values['last_reset'] == 'image size changed from 768x576 to 768x400'
    assert values['resets'] == '2'


def test_images_without_stamp_are_tracked_by_their_time_of_arrival(domain_id):
    frame = clip_frames(1)[0]
    with running(domain_id) as test:
        answers = [test.client.send(make_image(frame, 0.0)) for _ in range(4)]
        values = test.client.next_status()
    assert answers[-1].header.stamp.sec == 0
    assert ids(answers[0]) & ids(answers[-1])
    assert values['resets'] == '0'


def test_life_cycle_by_services(domain_id):
    frame = clip_frames(1)[0]
    with running(domain_id, autostart=False) as test:
        client = test.client
        assert state(test) == 'unconfigured'
        assert client.images.get_subscription_count() == 0
        assert not client.transition('activate')
        assert client.transition('configure')
        assert state(test) == 'inactive'
        assert client.transition('activate')
        test.connect()
        first = client.send(make_image(frame, 1.0))
        assert client.transition('deactivate')
        client.wait_for(lambda: client.images.get_subscription_count() == 0, 'no subscription')
        client.images.publish(make_image(frame, 1.1))
        client.spin(0.3)
        assert len(client.tracks) == 1
        assert client.transition('activate')
        test.connect()
        # The tracker has forgotten everything: the same ids for the same image.
        assert ids(client.send(make_image(frame, 1.0))) == ids(first)
        assert client.next_status()['resets'] == '0'
        assert client.transition('deactivate')
        assert client.transition('cleanup')
        assert state(test) == 'unconfigured'
        assert client.next_status()['engine'] == ''
        assert client.transition('configure')
        assert client.transition('activate')
        assert client.transition('shutdown')
        assert state(test) == 'finalized'


def test_a_failing_configure_names_the_cause_and_can_be_repeated(domain_id, capfd, tmp_path):
    missing = tmp_path / 'missing.onnx'
    with running(domain_id, autostart=False, model=str(missing)) as test:
        for _ in range(2):
            assert not test.client.transition('configure')
            assert state(test) == 'unconfigured'
    assert f'configure failed: model {missing} does not exist' in capfd.readouterr().err


def test_reset_service(domain_id):
    frames = clip_frames(6)
    with running(domain_id) as test:
        first = test.client.send_frames(frames)
        response = test.client.call(Trigger, '/tracker/reset', Trigger.Request())
        assert response.success
        again = test.client.send_frames(frames, start=2.0)
        values = test.client.next_status()
    assert [ids(answer) for answer in again] == [ids(answer) for answer in first]
    assert (values['resets'], values['last_reset']) == ('1', 'service ~/reset')


def test_reset_of_an_unconfigured_node_is_refused(domain_id):
    with running(domain_id, autostart=False) as test:
        response = test.client.call(Trigger, '/tracker/reset', Trigger.Request())
    assert not response.success
    assert 'not configured' in response.message


def test_enable_service(domain_id):
    with running(domain_id) as test:
        client = test.client
        client.send(make_image(BLACK, 1.0))
        response = client.call(SetBool, '/tracker/enable', SetBool.Request(data=False))
        assert (response.success, response.message) == (True, 'disabled')
        client.wait_for(lambda: client.images.get_subscription_count() == 0, 'no subscription')
        assert client.next_status()['state'] == 'disabled'
        assert client.call(SetBool, '/tracker/enable', SetBool.Request(data=True)).success
        test.connect()
        client.send(make_image(BLACK, 1.1))


def test_diagnostics(domain_id):
    frames = clip_frames(10)
    with running(domain_id) as test:
        client = test.client
        client.wait_for(lambda: client.diagnostics, 'diagnostics')
        assert client.status().level == b'\x01'
        assert client.status().message == 'no image on /image yet (1 publishers)'
        client.send_frames(frames)
        values = client.next_status()
        status = client.status()
        client.spin(2.5)
        assert client.status().message.startswith('no image on /image for')
    assert status.name == 'tracker: tracking'
    assert status.hardware_id == values['device'] == 'cpu'
    assert status.level == b'\x00'
    assert status.message.startswith('tracking at')
    assert values['model'] == 'centertrack_mobilenetv3'
    assert 'onnxruntime' in values['engine']
    assert (values['received'], values['published'], values['dropped']) == ('10', '10', '0')
    assert values['rejected'] == '0'
    assert float(values['rate_hz']) > 1
    assert int(values['tracks']) >= 3
    assert 0 < float(values['latency_ms/p50']) <= float(values['latency_ms/p95'])
    assert float(values['latency_ms/p95']) <= float(values['latency_ms/p99'])
    for stage in ('preprocess', 'render', 'network', 'decode', 'track'):
        assert float(values[f'stage_ms/{stage}']) >= 0


def test_diagnostics_go_on_while_simulated_time_stands_still(domain_id):
    with running(domain_id, use_sim_time=True) as test:
        test.client.send(make_image(BLACK, 1.0))
        test.client.next_status()
        test.client.next_status()


def test_newest_image_wins_and_the_others_are_counted(domain_id):
    frame = clip_frames(1)[0]
    with running(domain_id) as test:
        client = test.client
        client.send(make_image(frame, 1.0))
        for index in range(1, 31):
            client.images.publish(make_image(frame, 1.0 + index * 0.01))
            time.sleep(0.003)
        last = make_image(frame, 1.3).header
        client.wait_for(lambda: client.tracks[-1].header == last, 'tracks of the last image')
        values = client.next_status()
    assert len(client.tracks) < 31
    assert int(values['dropped']) > 0
    counted = int(values['published']) + int(values['dropped'])
    assert counted == int(values['received'])


def test_an_engine_that_fails_is_counted_and_the_node_recovers(domain_id, capfd):
    frame = clip_frames(1)[0]
    with running(domain_id) as test:
        client = test.client
        before = client.send(make_image(frame, 1.0))
        client.next_status()
        pipeline = test.node._session.cameras[0].pipeline
        engine, pipeline.engine = pipeline.engine, EngineOutOfMemory()
        values = client.send_bad(make_image(frame, 1.1))
        assert client.status().level == b'\x02'
        pipeline.engine = engine
        after = client.send(make_image(frame, 1.2))
    assert values['rejected/engine'] == '1'
    assert ids(before) & ids(after)
    assert 'RuntimeError: CUDA error: out of memory' in capfd.readouterr().err


def test_configure_and_cleanup_leave_no_thread_behind(domain_id):
    with running(domain_id, autostart=False, connect=False) as test:
        before = threading.active_count()
        for _ in range(3):
            for label in ('configure', 'activate', 'deactivate', 'cleanup'):
                assert test.client.transition(label)
        assert threading.active_count() == before


def test_shutdown_while_images_arrive(domain_id):
    frame = clip_frames(1)[0]
    with running(domain_id) as test:
        test.client.send(make_image(frame, 1.0))
        for index in range(5):
            test.client.images.publish(make_image(frame, 1.1 + index * 0.1))
    assert not [thread for thread in threading.enumerate() if thread.name == 'tracker']
