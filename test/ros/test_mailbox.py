import threading
import time

from centertrack_ros.ros.mailbox import Mailbox


def test_the_newest_item_wins_and_the_replaced_one_is_told():
    mailbox = Mailbox()
    assert [mailbox.put(number) for number in (1, 2, 3)] == [False, True, True]
    assert mailbox.take() == {0: 3}
    assert mailbox.put(4) is False


def test_take_waits_for_an_item():
    mailbox = Mailbox()
    threading.Timer(0.05, mailbox.put, args=['item']).start()
    start = time.monotonic()
    assert mailbox.take() == {0: 'item'}
    assert time.monotonic() - start > 0.03


def test_wake_ends_the_waiting_once():
    mailbox = Mailbox()
    threading.Timer(0.05, mailbox.wake).start()
    assert mailbox.take() == {}
    mailbox.put('item')
    assert mailbox.take() == {0: 'item'}


def test_a_wake_before_take_is_not_lost():
    mailbox = Mailbox()
    mailbox.wake()
    assert mailbox.take() == {}


def test_clear_throws_away():
    mailbox = Mailbox()
    mailbox.put('old')
    mailbox.clear()
    assert mailbox.put('new') is False
    assert mailbox.take() == {0: 'new'}


def test_senders_have_a_slot_each_and_the_one_that_waits_longest_comes_first():
    mailbox = Mailbox()
    assert mailbox.put('left 1', sender=0) is False
    assert mailbox.put('rear 1', sender=2) is False
    assert mailbox.put('left 2', sender=0) is True
    assert mailbox.put('right 1', sender=1) is False
    # A newer item does not lose the place of the one it replaces.
    assert list(mailbox.take(limit=2).items()) == [(0, 'left 2'), (2, 'rear 1')]
    mailbox.put('left 3', sender=0)
    assert list(mailbox.take(limit=1).items()) == [(1, 'right 1')]
    assert mailbox.take() == {0: 'left 3'}


def test_every_item_is_taken_or_counted_across_threads():
    mailbox = Mailbox()
    taken = []

    def take_all():
        while item := mailbox.take():
            taken.append(item[0])

    thread = threading.Thread(target=take_all)
    thread.start()
    replaced = sum(mailbox.put(number) for number in range(1, 5001))
    while taken[-1:] != [5000]:
        time.sleep(0.001)
    mailbox.wake()
    thread.join()
    assert len(taken) + replaced == 5000
    assert taken == sorted(taken)
