import jax.numpy as jnp
import numpy as np
import pytest
from valley import valley, valley_fields

from chase_jax.checks import InputError
from chase_jax.domain import drainage
from chase_jax.domain.domain import build
from chase_jax.domain.grid import Grid


def random_forest(count, rng, shuffle=True):
    """Next cell of each of `count` cells, a few of them roots, in random order."""
    down = np.array([rng.integers(i + 1, min(i + 8, count) + 1) for i in range(count)])
    down[(down == count) | (rng.random(count) < 0.02)] = -1
    if not shuffle:
        return down
    name = rng.permutation(count)
    shuffled = np.empty(count, dtype=int)
    shuffled[name] = np.where(down < 0, -1, name[down])
    return shuffled


def line_grid(count):
    return Grid(np.arange(count) / count, np.array([0.0]))


def catchments(down):
    """Cells upstream of every cell, itself included, by walking down from each."""
    sets = [set() for _ in down]
    for start in range(len(down)):
        cell = start
        while cell >= 0:
            sets[cell].add(start)
            cell = down[cell]
    return sets


@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_every_catchment_is_a_slice_that_ends_with_its_outlet(count):
    down = random_forest(count, np.random.default_rng(count))
    number, first = drainage.post_order(line_grid(count), down)
    assert sorted(number) == list(range(count))
    assert all(down[i] < 0 or number[down[i]] > number[i] for i in range(count))
    for cell, members in enumerate(catchments(down)):
        assert sorted(number[list(members)]) == list(range(first[cell], number[cell] + 1))


def test_the_largest_branch_comes_last():
    domain = valley(20)
    down, first = np.asarray(domain.drainage.downstream), np.asarray(domain.drainage.first)
    size = np.arange(down.size) - first + 1
    for cell in range(down.size):
        children = np.flatnonzero(down == cell)
        if children.size:
            assert children.max() == cell - 1
            assert size[cell - 1] == size[children].max()


def test_upstream_sums_agree_with_a_walk():
    domain = valley()
    tree, down = domain.drainage, np.asarray(domain.drainage.downstream)
    values = np.random.default_rng(0).random((2, domain.cells))
    sums = np.asarray(tree.upstream_sum(jnp.asarray(values)))
    for cell, members in enumerate(catchments(down)):
        np.testing.assert_allclose(sums[:, cell], values[:, list(members)].sum(axis=1), rtol=1e-13)
        assert np.asarray(tree.is_upstream(jnp.arange(domain.cells), cell)).sum() == len(members)
    np.testing.assert_allclose(tree.upstream_area, tree.upstream_sum(domain.cell_area))


def test_strahler_order_rises_only_where_equals_meet():
    #  0, 1 -> 2;  3, 4 -> 5;  2, 5 -> 6;  7 -> 8;  6, 8 -> 9
    down = np.array([2, 2, 6, 5, 5, 6, 9, 8, 9, -1])
    np.testing.assert_array_equal(drainage._strahler(down), [1, 1, 2, 1, 1, 2, 3, 1, 1, 3])


def test_length_is_the_distance_between_centers():
    domain = valley()
    grid, tree = domain.grid, domain.drainage
    tail, head = np.asarray(tree.edges.tail), np.asarray(tree.edges.head)
    across = (grid.row[tail] != grid.row[head]) & (grid.column[tail] != grid.column[head])
    np.testing.assert_allclose(tree.length[tail], np.where(across, np.sqrt(2.0) * 1000.0, 1000.0))
    assert tail.size == (np.asarray(tree.downstream) >= 0).sum()


def test_roots_are_outlets_or_sinks():
    tree = valley().drainage
    root = np.asarray(tree.downstream) < 0
    np.testing.assert_array_equal(root, np.asarray(tree.outlet) ^ np.asarray(tree.sink))
    assert (np.asarray(tree.outlet).sum(), np.asarray(tree.sink).sum()) == (2, 1)


def broken(place, code, **other):
    fields, grid = valley_fields()
    fields["flow_direction"][place] = code
    for name, (where, value) in other.items():
        fields[name][where] = value
    return fields, grid


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        ((5, 5), 3, "must be one of .* but is 3, at row 5, column 5"),
        ((5, 5), np.nan, "must be one of .* but is nan"),
        ((5, 0), 16, "leaves the domain, at row 5, column 0"),
        ((0, 1), 16, "leaves the domain, at row 0, column 1 .*inland sink"),
    ],
)
def test_bad_directions_are_refused_with_their_place(place, code, message):
    with pytest.raises(InputError, match=message):
        build(*broken(place, code))


def test_loops_are_refused_with_their_place():
    fields, grid = valley_fields()
    fields["flow_direction"][5, 5], fields["flow_direction"][5, 6] = 1, 16
    with pytest.raises(InputError, match=r"loop, at row \d+, column \d+ \(x \d+ m"):
        build(fields, grid)


def test_an_isolated_sink_is_refused():
    fields, grid = valley_fields(lake=False)
    fields["active"][:] = 0
    fields["active"][4, 4], fields["active"][8:10, 8:10] = 1, 1
    fields["flow_direction"][4, 4], fields["flow_direction"][8:10, 8:10] = 255, 0
    with pytest.raises(InputError, match="isolated, at row 4, column 4"):
        build(fields, grid)
    fields["flow_direction"][4, 4] = 0
    assert build(fields, grid).cells == 5
