import jax
import numpy as np
import pytest
from valley import valley, valley_fields

from chase_jax.checks import InputError
from chase_jax.domain import channels
from chase_jax.domain.domain import DEFAULTS, build


def test_fractions_cover_the_cell():
    domain = valley()
    total = domain.land_fraction + domain.glacier_fraction + domain.water_fraction
    np.testing.assert_allclose(total, 1.0)
    for part in (domain.land_fraction, domain.glacier_fraction, domain.water_fraction):
        assert float(part.min()) >= 0.0
    full = np.asarray(domain.lakes.member | domain.drainage.sink)
    np.testing.assert_array_equal(np.asarray(domain.water_fraction)[full], 1.0)
    assert float(domain.water_fraction[~full].max()) <= 0.5
    np.testing.assert_array_equal(domain.glacier_cell, np.flatnonzero(np.asarray(domain.glacier_fraction) > 0))


def test_defaults_stand_where_the_fields_are_silent():
    domain = valley()
    for name in ("sand_fraction", "clay_fraction", "aquifer_thickness", "specific_yield", "aquifer_conductivity"):
        np.testing.assert_array_equal(getattr(domain, name), DEFAULTS[name])
    assert domain.leaf_area_index.shape == (12, domain.cells)


def test_fields_land_on_their_cells():
    fields, grid = valley_fields()
    domain = build(fields, grid)
    raster = domain.grid.unpack(np.asarray(domain.surface_altitude))
    inside = fields["active"] > 0
    np.testing.assert_array_equal(raster[inside], fields["surface_altitude"][inside])


def test_beds_fall_downstream_except_in_patches():
    domain = valley(30, seed=3)
    down, patch = np.asarray(domain.drainage.downstream), np.asarray(domain.lakes.member)
    bed = np.asarray(domain.surface_altitude - domain.bed_depth)
    tail = np.flatnonzero((down >= 0) & ~patch & ~patch[down])
    fall = np.asarray(domain.bed_fall)[tail]
    np.testing.assert_allclose(fall, bed[tail] - bed[down[tail]], atol=1e-9)
    slope = fall / np.asarray(domain.channel_length)[tail]
    assert slope.min() >= channels.MINIMUM_SLOPE * (1.0 - 1e-6)
    assert (np.asarray(domain.bed_depth) > 0.0).all()
    outlet = np.asarray(domain.drainage.outlet)
    assert (np.asarray(domain.outlet_slope)[outlet] >= channels.MINIMUM_SLOPE).all()
    assert (np.asarray(domain.outlet_slope)[~outlet] == 0.0).all()


def test_a_given_bed_counts_where_it_lies_below_the_banks():
    fields, grid = valley_fields(20, seed=4)
    plain = build(fields, grid)
    deep = build(fields | {"channel_bed_altitude": fields["surface_altitude"] - 30.0}, grid)
    rivers = ~np.asarray(plain.lakes.member)
    np.testing.assert_allclose(np.asarray(deep.bed_depth)[rivers].min(), 30.0)
    some = np.add.outer(*map(np.arange, grid.shape)) % 3 == 0  # in most cells it would be of another unit
    high = build(fields | {"channel_bed_altitude": np.where(some, fields["surface_altitude"] + 5.0, np.nan)}, grid)
    np.testing.assert_array_equal(high.bed_depth, plain.bed_depth)
    np.testing.assert_array_equal(deep.channel_depth, plain.channel_depth)  # banks are not valley sides


def test_a_lowered_bed_is_the_highest_that_falls():
    down, length = np.array([1, 2, 3, -1]), np.full(4, 1000.0)
    none = np.zeros(4, dtype=bool)
    bed = channels.descending_bed(np.array([10.0, 4.0, 7.0, 6.0]), down, length, none, np.zeros(4, int))
    np.testing.assert_allclose(bed, [10.0, 4.0, 3.99, 3.98])
    level = channels.descending_bed(np.array([10.0, 4.0, 7.0, 6.0]), down, length, none, np.array([0, 1, 1, 0]))
    np.testing.assert_allclose(level, [10.0, 4.0, 4.0, 3.99])
    apart = channels.descending_bed(np.array([10.0, 4.0, 7.0, 6.0]), down, length, np.arange(4) == 1, np.zeros(4, int))
    np.testing.assert_allclose(apart, [10.0, 4.0, 7.0, 6.0])


def test_channels_widen_downstream_and_given_ones_are_kept():
    fields, grid = valley_fields(lake=False)
    domain = build(fields, grid)
    flows = ~np.asarray(domain.drainage.sink)
    order = np.argsort(np.asarray(domain.drainage.upstream_area)[flows])
    assert (np.diff(np.asarray(domain.channel_width)[flows][order]) >= 0.0).all()
    np.testing.assert_allclose((domain.channel_width * domain.channel_length / domain.cell_area)[~flows], 1.0)
    fields["channel_width"] = np.full(grid.shape, np.nan)
    fields["channel_width"][5, 5] = 77.0
    given = build(fields, grid)
    cell = given.grid.cell_at(grid.x[5], grid.y[5])
    assert float(given.channel_width[cell]) == 77.0
    np.testing.assert_array_equal(np.delete(given.channel_width, cell), np.delete(domain.channel_width, cell))


def test_surface_falls_along_faces_of_neighbors():
    domain = valley()
    tail, head = np.asarray(domain.faces.edges.tail), np.asarray(domain.faces.edges.head)
    rows, columns = domain.grid.row, domain.grid.column
    assert (np.abs(rows[tail] - rows[head]) + np.abs(columns[tail] - columns[head]) == 1).all()
    assert tail.size == 2 * 12 * 11 - 4  # two inactive corners with two sides each
    np.testing.assert_allclose(domain.faces.surface_fall, domain.surface_altitude[tail] - domain.surface_altitude[head])


def all_fields(domain):
    """Every array of a domain by its path."""
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(domain)}


@pytest.mark.parametrize("which", ["main", "small", "lake", "sink"])
def test_a_catchment_is_what_building_it_alone_gives(which):
    fields, grid = valley_fields(15, seed=2)
    domain = build(fields, grid)
    tree = domain.drainage
    places = {
        "main": int(np.argmax(tree.upstream_area)) - 1,
        "small": int(np.argmin(np.abs(np.asarray(tree.upstream_area) - 5e6))),
        "lake": int(domain.lakes.mouth_tail[~domain.lakes.inward][0]),
        "sink": int(np.argmax(tree.sink)),
    }
    cell = places[which]
    part = domain.catchment(cell)
    outside = np.ones(grid.shape, dtype=bool)
    outside[part.grid.row, part.grid.column] = False
    fields["active"][outside] = 0
    root = part.grid.row[-1], part.grid.column[-1]
    fields["flow_direction"][root] = 0 if which != "sink" else 255
    # Beds were lowered and channels shaped in the whole domain; hand both on.
    alone = build(fields, grid)
    assert part.grid == alone.grid
    found, expected = all_fields(part), all_fields(alone)
    differs = {name for name in found if not np.allclose(found[name], expected[name], atol=1e-9)}
    allowed = {".bed_fall", ".outlet_slope", ".channel_length", ".drainage.length", ".channel_width", ".water_fraction"}
    allowed |= {".land_fraction", ".lakes.full_depth"}
    assert differs <= allowed
    for name in differs - {".lakes.full_depth"}:
        np.testing.assert_allclose(found[name][:-1], expected[name][:-1], atol=1e-9)
    assert bool(part.drainage.outlet[-1]) == (which != "sink")
    assert part.drainage.downstream[-1] == -1
    if which != "sink":
        np.testing.assert_allclose(part.bed_fall[-1], part.outlet_slope[-1] * part.channel_length[-1])


def test_a_catchment_outside_the_domain_is_refused():
    with pytest.raises(InputError, match="`cell`"):
        valley().catchment(10_000)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("surface_altitude", np.nan, r"`surface_altitude` must be between .* but is nan at row 5, column 5"),
        ("cell_area", 0.0, "`cell_area` must be between"),
        ("sand_fraction", 1.2, "`sand_fraction` must be between 0 and 1, but is 1.2 at row 5, column 5"),
        ("clay_fraction", 0.7, "at most 1, but is 1.1"),
        ("specific_yield", np.nan, "`specific_yield`"),
        ("lake_sill_altitude", 1e6, "`lake_sill_altitude`"),
    ],
)
def test_impossible_values_are_refused_with_their_place(name, value, message):
    fields, grid = valley_fields()
    fields.setdefault(name, np.full(grid.shape, DEFAULTS.get(name, 0.0)))
    fields[name] = fields[name].copy()
    fields[name][5, 5] = value
    with pytest.raises(InputError, match=message):
        build(fields, grid)


def test_values_of_inactive_cells_do_not_matter():
    fields, grid = valley_fields()
    fields["surface_altitude"][0, 0] = np.nan
    fields["flow_direction"][0, 0] = 77
    assert build(fields, grid).cells == 142


def test_missing_fields_wrong_shapes_and_empty_masks_are_refused():
    fields, grid = valley_fields()
    with pytest.raises(InputError, match="must hold `cell_area`"):
        build({name: field for name, field in fields.items() if name != "cell_area"}, grid)
    with pytest.raises(InputError, match="`leaf_area_index` must have shape"):
        build(fields | {"leaf_area_index": np.ones(grid.shape)}, grid)
    with pytest.raises(InputError, match="at least one cell"):
        build(fields | {"active": np.zeros(grid.shape)}, grid)


def test_two_readings_of_a_domain_share_a_compiled_function():
    calls = []

    @jax.jit
    def total(domain):
        calls.append(1)
        return domain.cell_area.sum()

    assert float(total(valley())) == float(total(valley()))
    assert len(calls) == 1
