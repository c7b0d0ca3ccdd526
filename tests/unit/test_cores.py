"""Columns shared out over the cores."""

from __future__ import annotations

import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.calibration import cores


@pytest.mark.parametrize(
    ("total", "most", "sizes"),
    [
        (1000, 1, [1000]),
        (511, 8, [511]),  # two shares would be smaller than is worth it
        (1024, 2, [512, 512]),
        (1025, 2, [513, 513]),
        (2561, 64, [257] * 10),
        (9 * 256, 8, [288] * 8),
    ],
)
def test_shares_are_as_long_and_hold_every_column(total, most, sizes):
    numbers = cores.shares(total, most)
    assert [own.size for own in numbers] == sizes
    assert np.array_equal(np.unique(np.concatenate(numbers)), np.arange(total))
    assert all((np.diff(own) == 1).all() for own in numbers)


def test_no_share_is_wholly_that_of_another(monkeypatch):
    monkeypatch.setattr(cores, "LEAST_COLUMNS", 1)
    numbers = cores.shares(9, 4)
    assert [list(own) for own in numbers] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert [list(own) for own in cores.shares(10, 4)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [7, 8, 9]]


def test_what_was_shared_out_is_joined(monkeypatch):
    monkeypatch.setattr(cores, "LEAST_COLUMNS", 1)
    numbers = cores.shares(10, 4)
    whole = {"cell": jnp.arange(10.0), "layer": np.arange(20.0).reshape(2, 10), "none": jnp.array(3.0)}
    parts = [{n: v[..., own] if np.ndim(v) else v for n, v in whole.items()} for own in numbers]
    found = cores.joined(parts, numbers)
    for name, value in whole.items():
        np.testing.assert_array_equal(found[name], value)
    assert isinstance(found["layer"], np.ndarray)


def test_calls_run_at_the_same_time_and_in_order():
    meet = threading.Barrier(3, timeout=20.0)

    def call(number, more):
        meet.wait()  # passes only if all three are there
        return number + more

    assert cores.at_once(call, [1, 2, 3], [10, 20, 30]) == [11, 22, 33]
    assert cores.at_once(lambda number: number, [5]) == [5]


def test_an_error_in_one_of_them_is_told():
    def call(number):
        if number == 2:
            raise ValueError("two")
        return number

    with pytest.raises(ValueError, match="two"):
        cores.at_once(call, [1, 2, 3])


def test_calls_with_new_shapes_wait_for_the_first_and_those_with_known_ones_do_not():
    inside, most = [], []
    meet = threading.Barrier(2, timeout=20.0)

    def compile_once(value):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)
        inside.pop()
        return value

    cores.at_once(cores.alone_at_first(compile_once), [np.zeros(3), np.zeros(3)])
    assert most[0] == 1
    function = cores.alone_at_first(lambda value: meet.wait() if value.any() else value)
    function(np.zeros(3))
    cores.at_once(function, [np.ones(3), np.ones(3)])  # passes only if both are inside
    with pytest.raises(threading.BrokenBarrierError):
        cores.at_once(cores.alone_at_first(lambda value: meet.wait(timeout=0.5)), [np.ones(3), np.ones(3)])
