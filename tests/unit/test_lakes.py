import numpy as np
from valley import valley, valley_fields

from chase_jax.domain import lakes
from chase_jax.domain.domain import build


def test_faces_join_cells_of_the_patch_that_share_a_side():
    domain = valley()
    patch, grid = domain.lakes, domain.grid
    cell = np.asarray(patch.cell)
    assert cell.size == 9
    assert patch.edges.size == 12
    tail, head = cell[np.asarray(patch.edges.tail)], cell[np.asarray(patch.edges.head)]
    apart = np.abs(grid.row[tail] - grid.row[head]) + np.abs(grid.column[tail] - grid.column[head])
    assert (apart == 1).all()
    np.testing.assert_array_equal(patch.edge_length, 1000.0)
    np.testing.assert_array_equal(np.asarray(patch.position)[cell], np.arange(9))
    assert (np.asarray(patch.position) >= 0).sum() == 9


def test_mouths_are_the_drainage_edges_with_one_end_in_the_patch():
    domain = valley()
    patch, member = domain.lakes, np.asarray(domain.lakes.member)
    tail, head = np.asarray(domain.drainage.edges.tail), np.asarray(domain.drainage.edges.head)
    crossing = member[tail] != member[head]
    np.testing.assert_array_equal(patch.mouth_tail, tail[crossing])
    np.testing.assert_array_equal(patch.mouth_head, head[crossing])
    np.testing.assert_array_equal(patch.inward, member[head[crossing]])
    lake_end = np.asarray(patch.cell)[np.asarray(patch.mouth_lake)]
    assert member[lake_end].all()
    assert not member[np.asarray(patch.mouth_river)].any()
    ends = np.sort(np.stack([lake_end, np.asarray(patch.mouth_river)]), axis=0)
    np.testing.assert_array_equal(ends, np.sort(np.stack([tail[crossing], head[crossing]]), axis=0))


def test_water_leaves_over_the_highest_of_bed_next_bed_and_sill():
    fields, grid = valley_fields()
    domain = build(fields, grid)
    fields["lake_sill_altitude"] = np.full(grid.shape, np.asarray(domain.surface_altitude).max() + 1.0)
    high = build(fields, grid)
    bed = np.asarray(high.surface_altitude - high.bed_depth)
    out, back = ~np.asarray(high.lakes.inward), np.asarray(high.lakes.inward)
    tail, head = np.asarray(high.lakes.mouth_tail), np.asarray(high.lakes.mouth_head)
    assert out.any()
    assert back.any()
    crest = bed[tail] + np.asarray(high.lakes.mouth_sill)
    np.testing.assert_allclose(crest[out], fields["lake_sill_altitude"][0, 0])
    np.testing.assert_allclose(crest[back], np.maximum(bed[tail], bed[head])[back])
    np.testing.assert_allclose(np.asarray(high.sill)[tail[out]], np.asarray(high.lakes.mouth_sill)[out])
    assert (np.asarray(high.sill) > 0).sum() == out.sum()
    # At full depth the whole lake stands level with its crest.
    level = bed[np.asarray(high.lakes.cell)] + np.asarray(high.lakes.full_depth)
    np.testing.assert_allclose(level, fields["lake_sill_altitude"][0, 0])
    level = np.asarray((domain.surface_altitude - domain.bed_depth)[domain.lakes.cell] + domain.lakes.full_depth)
    assert np.ptp(level) < 1e-9
    assert (np.asarray(domain.lakes.full_depth) > 3.0).all()


def test_patches_that_touch_at_a_corner_stay_linked_along_the_drainage():
    fields, grid = valley_fields(lake=False)
    domain = build(fields, grid)
    tail, head = np.asarray(domain.drainage.edges.tail), np.asarray(domain.drainage.edges.head)
    row, column = domain.grid.row, domain.grid.column
    edge = np.flatnonzero((row[tail] != row[head]) & (column[tail] != column[head]))[0]
    pair = [tail[edge], head[edge]]
    fields["lake_patch"][row[pair], column[pair]] = 1
    patch = build(fields, grid).lakes
    assert patch.cell.size == 2
    assert patch.edges.size == 1
    np.testing.assert_allclose(patch.edge_length, np.sqrt(2.0) * 1000.0)
    assert np.unique(patch.patch).size == 1


def test_neighboring_lakes_exchange_water_only_along_the_drainage():
    fields, grid = valley_fields()
    fields["lake_index"][:6] *= 2.0
    domain = build(fields, grid)
    patch, lake, down = domain.lakes, np.asarray(domain.lake_index), np.asarray(domain.drainage.downstream)
    assert set(np.asarray(patch.lake_index)) == {1, 2}
    cell = np.asarray(patch.cell)
    tail, head = cell[np.asarray(patch.edges.tail)], cell[np.asarray(patch.edges.head)]
    between = lake[tail] != lake[head]
    drained = (down >= 0) & (lake > 0) & (lake[down] > 0) & (lake != lake[down])
    assert set(zip(tail[between], head[between], strict=True)) == set(
        zip(*np.nonzero(drained), down[drained], strict=True)
    )
    assert between.sum() >= 1
    assert (~between).sum() == 2 + 7


def test_components_of_a_graph():
    tail, head = np.array([0, 2, 5, 8, 7]), np.array([1, 1, 6, 7, 2])
    np.testing.assert_array_equal(lakes.connected_components(tail, head, 10), [0, 0, 0, 1, 2, 3, 3, 0, 0, 4])
    long = np.random.default_rng(0).permutation(5000)
    assert (lakes.connected_components(long[:-1], long[1:], 5000) == 0).all()
    assert lakes.connected_components(np.zeros(0, int), np.zeros(0, int), 0).size == 0


def test_a_domain_without_lakes_has_empty_lakes():
    patch = valley(lake=False).lakes
    assert patch.cell.size == patch.edges.size == patch.mouth_tail.size == 0
    assert (np.asarray(patch.position) == -1).all()
