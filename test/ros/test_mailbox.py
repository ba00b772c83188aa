import threading
import time

from centertrack_ros.ros.mailbox import Mailbox


def test_the_newest_item_wins_and_the_replaced_one_is_told():
    mailbox = Mailbox()
    assert [mailbox.put(number) for number in (1, 2, 3)] == [False, True, True]
    assert mailbox.take() == 3
    assert mailbox.put(4) is False


def test_take_waits_for_an_item():
    mailbox = Mailbox()
    threading.Timer(0.05, mailbox.put, args=['item']).start()
    start = time.monotonic()
    assert mailbox.take() == 'item'
    assert time.monotonic() - start > 0.03


def test_wake_ends_the_waiting_once():
    mailbox = Mailbox()
    threading.Timer(0.05, mailbox.wake).start()
    assert mailbox.take() is None
    mailbox.put('item')
    assert mailbox.take() == 'item'


def test_a_wake_before_take_is_not_lost():
    mailbox = Mailbox()
    mailbox.wake()
    assert mailbox.take() is None


def test_clear_throws_away():
    mailbox = Mailbox()
    mailbox.put('old')
    mailbox.clear()
    assert mailbox.put('new') is False
    assert mailbox.take() == 'new'


def test_every_item_is_taken_or_counted_across_threads():
    mailbox = Mailbox()
    taken = []

    def take_all():
        while (item := mailbox.take()) is not None:
            taken.append(item)

    thread = threading.Thread(target=take_all)
    thread.start()
    replaced = sum(mailbox.put(number) for number in range(1, 5001))
    while taken[-1:] != [5000]:
        time.sleep(0.001)
    mailbox.wake()
    thread.join()
    assert len(taken) + replaced == 5000
    assert taken == sorted(taken)
