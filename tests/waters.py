"""Small rivers and lakes that the tests of surface water share."""

from __future__ import annotations

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from chase_jax.model import surface_water
from chase_jax.numerics.graph import EdgeList
from chase_jax.physics import channel, river


def index(values):
    return jnp.asarray(values, dtype=jnp.int32)


def random_downstream(cells, seed=0, reach=4.0, roots=0.0):
    """A random forest with downstream[i] > i, confluences and unbranched reaches."""
    generator = np.random.default_rng(seed)
    step = 1 + (generator.random(cells) < 0.4) * generator.exponential(reach, cells).astype(int)
    downstream = np.arange(cells) + step
    downstream[downstream >= cells] = cells - 1
    downstream[generator.random(cells) < roots] = -1
    downstream[-1] = -1
    return downstream


def tree_system(downstream, seed=0):
    """Diagonal, upper and lower coefficients and right side of a system as one routing step makes it."""
    generator = np.random.default_rng(seed)
    cells = len(downstream)
    up, low, right = (
        generator.exponential(50.0, cells),
        generator.exponential(50.0, cells),
        generator.normal(size=cells),
    )
    diagonal = generator.uniform(0.5, 1.5, cells)
    for cell, parent in enumerate(downstream):
        if parent >= 0:
            diagonal[cell] += low[cell]
            diagonal[parent] += up[cell]
    return tuple(jnp.asarray(a) for a in (diagonal, up, low, right))


def chain(cells, slope, width, roughness=0.03, length=1000.0, outlet=True, last=None, sea=np.nan):
    """A straight channel, its slope one or of each cell; `last` gives half the length and the area of a last cell that
    keeps its level, `sea` the level of the sea above the bed of the last cell."""
    downstream = np.arange(cells) + 1
    downstream[-1] = -1
    lengths, area = np.full(cells, length), np.full(cells, 1e6)
    fall = np.full(cells, slope) * length
    if last is not None:
        lengths[-2], fall[-2], area[-1] = length / 2, fall[-2] / 2, last
    ends = (downstream < 0) & outlet
    channel_length = np.full(cells, length)
    stage = np.full(cells, sea)
    network = river.network(
        downstream, fall, lengths, area, ends, np.full(cells, slope), None, channel_length, sea_stage=stage
    )
    parameters = channel.Parameters.default(jnp.full(cells, width), jnp.full(cells, 1e3), roughness)
    return surface_water.Geometry.join(network), parameters


def random_river(cells=60, seed=0, steep=1.0, sea=np.nan):
    """A forest with falls of both signs, an inland sink and floodplains; every outlet at the sea if it has a level."""
    generator = np.random.default_rng(seed)
    downstream = random_downstream(cells, seed, roots=0.03)
    root = downstream < 0
    outlet = root & (np.arange(cells) >= cells // 2)
    fall = generator.normal(0.5, 2.0, cells) * steep
    network = river.network(
        downstream,
        fall,
        generator.choice([1000.0, 1414.0], cells),
        np.full(cells, 1e6),
        outlet,
        np.full(cells, 1e-3),
        sea_stage=np.full(cells, sea),
    )
    parameters = channel.Parameters(
        manning_roughness=jnp.asarray(generator.uniform(0.02, 0.1, cells)),
        width=jnp.asarray(generator.uniform(5.0, 200.0, cells)),
        bank_depth=jnp.asarray(generator.uniform(0.5, 3.0, cells)),
        floodplain_fraction=jnp.asarray(generator.uniform(0.0, 0.3, cells)),
    )
    return surface_water.Geometry.join(network), parameters


def patch(rows, columns, bed, first=0, side=1e3, width=None, **mouths):
    """A rectangular patch of cells, square if no width is given, numbered row by row from `first`."""
    numbers = np.arange(rows * columns).reshape(rows, columns)
    tail = np.concatenate([numbers[:, :-1].ravel(), numbers[:-1].ravel()])
    head = np.concatenate([numbers[:, 1:].ravel(), numbers[1:].ravel()])
    none = {"mouth_tail": [], "mouth_lake": [], "mouth_river": [], "inward": []} | mouths
    return SimpleNamespace(
        cell=index(first + numbers.ravel()),
        edges=EdgeList(index(tail), index(head), numbers.size),
        area=jnp.full(numbers.size, side * (width or side)),
        edge_fall=jnp.asarray(bed[tail] - bed[head]),
        edge_length=jnp.full(tail.size, side),
        edge_width=jnp.full(tail.size, width or side),
        edge_direction=jnp.stack([head - tail == 1, head - tail != 1]).astype(float),
        mouth_tail=index(none["mouth_tail"]),
        mouth_lake=index(none["mouth_lake"]),
        mouth_river=index(none["mouth_river"]),
        inward=jnp.asarray(none["inward"], dtype=bool),
    )


def lone_lake(rows, columns, bed, outlet_slope=None, roughness=0.03, outlets=(-1,), side=1e3, width=None):
    """A patch without rivers; with a slope, some of its cells are outlets, as wide as the patch where that is given."""
    cells, area = rows * columns, side * (width or side)
    outlet = np.zeros(cells, dtype=bool)
    outlet[list(outlets)] = outlet_slope is not None
    network = river.network(
        np.full(cells, -1),
        np.zeros(cells),
        np.full(cells, side),
        np.full(cells, area),
        outlet,
        np.full(cells, outlet_slope or 0.0),
        patch=np.ones(cells, dtype=bool),
    )
    parameters = channel.Parameters.default(jnp.full(cells, width or 50.0), jnp.full(cells, 1e3), roughness)
    return surface_water.Geometry.join(network, patch(rows, columns, bed, side=side, width=width)), parameters


def valley(seed=0, above=8, rows=4, columns=5, below=6, slope=3e-4, roughness_of_bed=1.0):
    """A river that runs through a lake: geometry, parameters, altitude of the bed and mask of the lake."""
    generator = np.random.default_rng(seed)
    size, cells = rows * columns, above + rows * columns + below
    downstream = np.arange(cells) + 1
    downstream[-1] = -1
    lake = (np.arange(cells) >= above) & (np.arange(cells) < above + size)
    bed = np.zeros(cells)
    bed[-below:] = 5.0 + 1e3 * slope * np.arange(below)[::-1]
    crest = bed[-below]
    bed[lake] = crest - 8.0 + roughness_of_bed * generator.standard_normal(size)
    bed[:above] = crest + 1.0 + 1e3 * slope * np.arange(above)[::-1]
    fall = np.where(downstream >= 0, bed - bed[downstream], 0.0)
    sill = np.zeros(cells)
    sill[above + size - 1] = crest - bed[above + size - 1]
    network = river.network(
        downstream,
        fall,
        np.full(cells, 1e3),
        np.full(cells, 1e6),
        downstream < 0,
        np.full(cells, slope),
        lake,
        None,
        sill,
    )
    lakes = patch(
        rows,
        columns,
        bed[lake],
        above,
        mouth_tail=[above - 1, above + size - 1],
        mouth_lake=[0, size - 1],
        mouth_river=[above - 1, above + size],
        inward=[True, False],
    )
    parameters = channel.Parameters.default(jnp.where(jnp.asarray(lake), 1000.0, 60.0), jnp.full(cells, 3.0))
    return surface_water.Geometry.join(network, lakes), parameters, bed, lake
