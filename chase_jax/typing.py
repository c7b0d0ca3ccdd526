"""Axis vocabulary: what the axes of an array mean, in the order in which they stand.

`cell` is always the last axis, `time` the first, `layer` between them, so that a `(cell,)` parameter broadcasts
against a `(layer, cell)` state by NumPy's own rule.
"""

from __future__ import annotations

from typing import TypeAlias

from jaxtyping import Array, Bool, Float, Int

Scalar: TypeAlias = Float[Array, ""]
PerCell: TypeAlias = Float[Array, " cell"]
PerLayer: TypeAlias = Float[Array, " layer"]
PerLayerCell: TypeAlias = Float[Array, "layer cell"]
PerComponentCell: TypeAlias = Float[Array, "component cell"]
PerMonthCell: TypeAlias = Float[Array, "month cell"]
PerTimeCell: TypeAlias = Float[Array, "time cell"]
PerEdge: TypeAlias = Float[Array, " edge"]
PerGlacier: TypeAlias = Float[Array, " glacier"]
PerLakeCell: TypeAlias = Float[Array, " lake_cell"]
PerGauge: TypeAlias = Float[Array, " gauge"]
CellIndex: TypeAlias = Int[Array, " cell"]
EdgeIndex: TypeAlias = Int[Array, " edge"]
CellMask: TypeAlias = Bool[Array, " cell"]
