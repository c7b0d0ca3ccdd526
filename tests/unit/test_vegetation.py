"""Land-cover classes, split of leaf area, roots."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.checks import InputError
from chase_jax.physics import vegetation

ALL = np.arange(1, 25)


def test_every_class_stands_on_its_own_feet():
    p = vegetation.from_class(ALL)
    assert np.all(p.upper_top > p.upper_bottom)
    assert np.all(p.upper_bottom > p.lower_top)
    assert np.all(p.lower_top > p.lower_bottom)
    assert np.all(p.lower_bottom > 0.0)
    for fraction in (p.upper_fraction, p.lower_fraction):
        assert np.all((np.asarray(fraction) >= 0.0) & (np.asarray(fraction) <= 1.0))


@pytest.mark.parametrize("wrong", [0, 25, -1])
def test_unknown_class_is_an_input_error(wrong):
    with pytest.raises(InputError, match=r"vegetation_class.*between 1 and 24.*index \(1\)"):
        vegetation.from_class(np.array([7, wrong]))


def test_leaves_resist_between_what_two_land_surfaces_say():
    """Dryland crop, crop and wood, shrub, deciduous and evergreen forest: ECMWF's and Noah's least resistance."""
    resistance = vegetation.from_class(np.array([2, 6, 8, 11, 14])).minimum_stomatal_resistance
    ecmwf, noah = np.array([100.0, 175.0, 225.0, 175.0, 250.0]), np.array([40.0, 70.0, 300.0, 100.0, 125.0])
    np.testing.assert_allclose(resistance, np.sqrt(ecmwf * noah), atol=2.5)


def test_layers_share_the_leaf_area_of_the_cell():
    p = vegetation.from_class(ALL)
    cover = vegetation.canopy(p, jnp.full(24, 0.3))
    total = cover.upper_leaf * cover.upper_fraction + cover.lower_leaf * cover.lower_fraction
    vegetated = np.asarray(p.upper_fraction + p.lower_fraction) > 0.0
    np.testing.assert_allclose(np.asarray(total)[vegetated], 0.3, rtol=1e-12)
    assert np.all(np.asarray(total)[~vegetated] == 0.0)


def test_no_layer_holds_more_than_the_limit():
    cover = vegetation.canopy(vegetation.from_class(ALL), jnp.full(24, 7.0))
    assert np.max(cover.upper_leaf) <= vegetation.LEAF_AREA_LIMIT
    assert np.max(cover.lower_leaf) <= vegetation.LEAF_AREA_LIMIT


def test_bare_trees_keep_their_stems():
    p = vegetation.from_class(np.array([11]))
    winter = vegetation.canopy(p, jnp.zeros(1))
    assert winter.upper_leaf == 0.0
    assert winter.upper_stem > 0.0


def test_snow_buries_low_vegetation_only():
    cover = vegetation.canopy(vegetation.from_class(np.array([15])), jnp.array([4.0]))
    open_ground, buried = cover.areas(jnp.zeros(1)), cover.areas(jnp.ones(1))
    assert buried[2] == 0.0
    assert open_ground[2] > 0.0
    assert buried[0] == open_ground[0]


def test_roots_sum_to_one_and_thin_out_downwards():
    p = vegetation.from_class(ALL)
    share = vegetation.root_fraction(p, (0.05, 0.10, 0.20, 0.40, 0.75, 1.00))
    np.testing.assert_allclose(share.sum(axis=0), 1.0, rtol=1e-12)
    density = np.asarray(share) / np.array([0.05, 0.10, 0.20, 0.40, 0.75, 1.00])[:, None]
    assert np.all(np.diff(density, axis=0) < 0.0)


def test_default_leaf_area_peaks_in_the_summer_of_each_hemisphere():
    months = vegetation.leaf_area_climatology(np.array([7, 7]), np.array([45.0, -45.0]))
    assert list(np.argmax(months, axis=0)) == [6, 0]
    assert np.min(months) > 0.0


def test_trees_that_shed_their_leaves_are_bare_from_autumn_to_spring_and_green_in_between():
    months = vegetation.season(np.array([11, 11, 15, 13, 11]), np.array([45.0, -45.0, 35.0, 45.0, 0.0]))
    np.testing.assert_array_equal(months[[0, 1, 2, 3, 10, 11], 0], 0.0)
    np.testing.assert_array_equal(months[5:8, 0], 1.0)
    np.testing.assert_allclose(months[(np.arange(12) + 6) % 12, 1], months[:, 0])
    assert (months[3, 2], months[9, 2]) > (months[3, 0], months[9, 0])  # leaves come earlier and stay in the south
    assert 0.0 < months[2, 3] < months[3, 3] < 1.0  # evergreens follow a wave
    np.testing.assert_allclose(months[:, 4], 0.5)


def test_vegetation_of_another_height_keeps_the_shape_of_its_layer():
    grass = vegetation.from_class(np.array([7, 3]))
    cut = vegetation.with_height(grass, jnp.array([0.25, 0.5]))
    np.testing.assert_allclose(cut.lower_top, [0.25, 0.5])
    np.testing.assert_allclose(cut.lower_bottom / cut.lower_top, grass.lower_bottom / grass.lower_top)
    np.testing.assert_array_equal(cut.upper_top, grass.upper_top)
