"""Signals stop at once while preparing, and wait while working."""

import os
import signal

import pytest

from splice.running.signals import Stopped, deferred, raising


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_raise_while_preparing_and_wait_while_working(number):
    before = signal.getsignal(number)
    with raising():
        with pytest.raises(Stopped) as caught:
            os.kill(os.getpid(), number)
        assert caught.value.exit_status == 128 + number
        with deferred() as stop:
            assert stop() is None
            os.kill(os.getpid(), number)
            assert stop() == 128 + number
            with pytest.raises(Stopped):  # whoever asks twice means it
                os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raising(), deferred() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop() is None
    finally:
        signal.signal(signal.SIGHUP, before)
