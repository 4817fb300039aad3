import contextlib
import gc

import pytest

from penumbra.core.system.garbage import pause_garbage_collection


def test_garbage_is_not_collected_during_a_pause_and_is_after_it():
    with pause_garbage_collection():
        was_enabled = gc.isenabled()
    assert (was_enabled, gc.isenabled()) == (False, True)


def test_garbage_is_collected_after_a_pause_that_an_error_ended():
    with pytest.raises(ZeroDivisionError), pause_garbage_collection():
        1 // 0  # noqa: B018
    assert gc.isenabled()


def test_pauses_that_overlap_end_with_the_last_one():
    first, second = pause_garbage_collection(), pause_garbage_collection()
    with contextlib.ExitStack() as stack:
        first.__enter__()
        stack.enter_context(second)
        first.__exit__(None, None, None)
        assert not gc.isenabled()
    assert gc.isenabled()


def test_who_has_switched_collections_off_finds_them_off_after_a_pause():
    gc.disable()
    try:
        with pause_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
