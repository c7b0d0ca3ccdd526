"""The table of variables: name, CF standard name, unit, axes, valid range, meaning.

Every name that stands in a file is in this table; `io` reads and writes by it. Units are the canonical units of the CF
standard name table (version 92), which are SI, so that writing needs no factor. Axes are those of the model: `cell` in
memory is `y x` in a file. A valid range says what a physically possible value is; it is there to catch wrong units and
undeclared fill values, not to judge the data.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Variable:
    """What one name means, wherever it stands.

    Attributes:
        name: The name in files and in the code.
        standard_name: The CF standard name, or None where CF has none.
        long_name: A short phrase for labels.
        units: The unit, in UDUNITS form.
        dims: The axes in memory, outermost first.
        valid_min: The smallest value accepted from a file, in `units`.
        valid_max: The largest value accepted from a file, in `units`.
        description: What a reader should know beyond the long name, such as the positive direction.
        symbol_in_paper: The symbol of Dong et al. (2026), where it has another name there.
        codes: What the values mean where they are codes, as CF flags: value and word.
        integers: The type of whole numbers that files hold it in; empty where it is a quantity.
        cell_methods: How a value stands for its cell of time, in CF's form, where that is always the same.
    """

    name: str
    standard_name: str | None
    long_name: str
    units: str
    dims: tuple[str, ...]
    valid_min: float
    valid_max: float
    description: str = ""
    symbol_in_paper: str = ""
    codes: tuple[tuple[int, str], ...] = ()
    integers: str = ""
    cell_methods: str = ""


CELL, LAYER, MONTH, GAUGE, LAKE = ("cell",), ("layer", "cell"), ("month", "cell"), ("gauge", "time"), ("lake", "time")
SCALAR: tuple[str, ...] = ()
FLUX, AMOUNT, POWER = "kg m-2 s-1", "kg m-2", "W m-2"
MEAN, LOWEST, HIGHEST = "time: mean", "time: minimum", "time: maximum"

NO_YES = ((0, "no"), (1, "yes"))
DIRECTIONS = ((1, "east"), (2, "southeast"), (4, "south"), (8, "southwest"), (16, "west"), (32, "northwest"),
              (64, "north"), (128, "northeast"), (0, "outlet"), (255, "inland_sink"))  # fmt: skip
# The words are those of the table of classes in `physics/vegetation.py`.
LAND_COVER = tuple(enumerate(
    ("urban", "dryland_crop", "irrigated_crop", "mixed_crop", "crop_and_grass", "crop_and_wood", "grass", "shrub",
     "shrub_and_grass", "savanna", "deciduous_broadleaf", "deciduous_needleleaf", "evergreen_broadleaf",
     "evergreen_needleleaf", "mixed_forest", "water", "herbaceous_wetland", "wooded_wetland", "barren",
     "herbaceous_tundra", "wooded_tundra", "mixed_tundra", "bare_tundra", "snow_or_ice"), start=1,
))  # fmt: skip
# The numbers are those of `calibration/cellwise.py`.
OUTCOMES = tuple(enumerate(
    ("met", "excluded_glacier_lake_or_water", "no_target", "runoff_depth_out_of_reach", "baseflow_index_out_of_reach",
     "both_out_of_reach", "not_met")
))  # fmt: skip

_DOMAIN = (
    Variable("active", None, "cells that belong to the domain", "1", CELL, 0, 1, codes=NO_YES, integers="i1"),
    Variable("surface_altitude", "surface_altitude", "altitude of the land surface", "m", CELL, -500, 9000),
    Variable(
        "flow_direction",
        None,
        "direction of flow, ESRI D8 code",
        "1",
        CELL,
        0,
        255,
        codes=DIRECTIONS,
        integers="i2",
    ),
    Variable("cell_area", "cell_area", "area of the cell", "m2", CELL, 1, 1e10),
    Variable("sand_fraction", "mass_fraction_of_sand_in_soil", "sand in the soil", "1", CELL, 0, 1),
    Variable("clay_fraction", "mass_fraction_of_clay_in_soil", "clay in the soil", "1", CELL, 0, 1),
    Variable(
        "vegetation_class",
        None,
        "land cover, USGS 24-class legend",
        "1",
        CELL,
        1,
        24,
        codes=LAND_COVER,
        integers="i2",
    ),
    Variable(
        "leaf_area_index",
        "leaf_area_index",
        "leaf area index",
        "1",
        MONTH,
        0,
        15,
        "One-sided, mean over the cell, of each calendar month",
    ),
    Variable(
        "lake_index", None, "number of the lake the cell belongs to", "1", CELL, 0, 1e9, "0: no lake", integers="i4"
    ),
    Variable(
        "lake_patch",
        None,
        "cells solved as a two-dimensional water surface",
        "1",
        CELL,
        0,
        1,
        "Lakes, and floodplain or wetland cells where marked",
        codes=NO_YES,
        integers="i1",
    ),
    Variable("lake_bed_altitude", None, "altitude of the lake bed", "m", CELL, -2000, 9000),
    Variable("lake_sill_altitude", None, "altitude at which the lake spills", "m", CELL, -500, 9000),
    Variable("glacier_fraction", "land_ice_area_fraction", "part of the cell under glacier ice", "1", CELL, 0, 1),
    Variable("aquifer_thickness", None, "thickness of the aquifer below the soil", "m", CELL, 0.1, 5000),
    Variable("specific_yield", None, "specific yield of the aquifer", "1", CELL, 1e-4, 0.6),
    Variable("aquifer_conductivity", None, "lateral saturated conductivity of the aquifer", "m s-1", CELL, 0, 1),
    Variable("channel_width", None, "bankfull width of the channel", "m", CELL, 0.01, 1e5),
    Variable(
        "channel_bed_altitude",
        None,
        "altitude of the channel bed",
        "m",
        CELL,
        -600,
        9000,
        "How far it lies below the land surface decides how deep ground water drains",
    ),
    Variable("channel_depth", None, "bankfull depth of the channel", "m", CELL, 0.001, 500),
    Variable("channel_length", None, "length of the channel to the next cell", "m", CELL, 1, 1e6),
    Variable(
        "sea_level_altitude",
        None,
        "altitude of the sea on the coast",
        "m",
        CELL,
        -500,
        500,
        "Where the cell borders the sea, else missing: rivers end and ground water stands at this level there",
    ),
    Variable("latitude", "latitude", "latitude", "degree_north", CELL, -90, 90),
    Variable("longitude", "longitude", "longitude", "degree_east", CELL, -180, 360),
    Variable("upstream_area", None, "area that drains through the cell, itself included", "m2", CELL, 1, 1e14),
)

_PREDICTORS = (
    Variable("mean_precipitation", None, "mean annual precipitation", "kg m-2 year-1", CELL, 0, 15000),
    Variable("mean_air_temperature", None, "mean air temperature", "K", CELL, 220, 320),
    Variable("aridity_index", None, "potential evapotranspiration over precipitation", "1", CELL, 0, 1000),
    Variable("mean_specific_humidity", None, "mean specific humidity", "1", CELL, 0, 0.04),
    Variable(
        "mean_potential_evapotranspiration",
        None,
        "mean annual potential evapotranspiration",
        "kg m-2 year-1",
        CELL,
        0,
        5000,
    ),
    Variable("mean_altitude", None, "mean altitude of the surface", "m", CELL, -500, 9000),
    Variable("mean_slope", None, "mean slope of the surface, rise over run", "1", CELL, 0, 10),
    Variable("mean_clay_fraction", None, "mean clay in the soil", "1", CELL, 0, 1),
    Variable("mean_leaf_area_index", None, "annual mean leaf area index", "1", CELL, 0, 15),
)

_FORCING = (
    Variable(
        "precipitation", "precipitation_flux", "precipitation", FLUX, CELL, 0, 0.1, "Rain and snow", cell_methods=MEAN
    ),
    Variable("air_temperature", "air_temperature", "air temperature at 2 m", "K", CELL, 180, 335, cell_methods=MEAN),
    Variable(
        "shortwave_down",
        "surface_downwelling_shortwave_flux_in_air",
        "shortwave down",
        POWER,
        CELL,
        0,
        1500,
        cell_methods=MEAN,
    ),
    Variable(
        "specific_humidity", "specific_humidity", "specific humidity at 2 m", "1", CELL, 0, 0.06, cell_methods=MEAN
    ),
    Variable(
        "air_pressure",
        "surface_air_pressure",
        "air pressure at the surface",
        "Pa",
        CELL,
        25000,
        110000,
        cell_methods=MEAN,
    ),
    Variable("wind_speed", "wind_speed", "wind speed at 10 m", "m s-1", CELL, 0, 100, cell_methods=MEAN),
    Variable(
        "longwave_down",
        "surface_downwelling_longwave_flux_in_air",
        "longwave down",
        POWER,
        CELL,
        30,
        700,
        cell_methods=MEAN,
    ),
    Variable(
        "air_temperature_min",
        "air_temperature",
        "lowest air temperature of the day",
        "K",
        CELL,
        175,
        335,
        cell_methods=LOWEST,
    ),
    Variable(
        "air_temperature_max",
        "air_temperature",
        "highest air temperature of the day",
        "K",
        CELL,
        180,
        340,
        cell_methods=HIGHEST,
    ),
)

_PARAMETERS = (
    Variable(
        "dcor",
        None,
        "share of fast surface runoff",
        "1",
        CELL,
        0,
        30,
        "Its meaning and range depend on the attribute `dcor_form`; see `physics/runoff.py`",
        "dcor",
    ),
    Variable("baseflow_factor", None, "factor of the exchange of soil and aquifer", "1", CELL, 1e-6, 1e4, "", "C"),
    Variable("manning_roughness", None, "Manning's roughness of the channel", "s m-1/3", CELL, 1e-3, 2, "", "rough"),
    Variable(
        "bypass_fraction",
        None,
        "share of infiltrating water that macropores lead straight to the aquifer at field capacity and a large C",
        "1",
        CELL,
        0,
        1,
        "0.9 by default; 0 leaves the exchange to the matrix alone, as in the paper",
    ),
    Variable(
        "contributing_depth",
        None,
        "depth of the soil whose filling decides on direct runoff",
        "m",
        CELL,
        0.01,
        2.5,
        "0.5 m by default; a deep one remembers the season, a shallow one answers to every rain",
    ),
    Variable(
        "contributing_threshold",
        None,
        "filling of that depth up to which nothing runs off directly",
        "1",
        CELL,
        0,
        0.9,
        "The wilting point of the soil by default",
    ),
    Variable(
        "stomatal_resistance_factor", None, "factor on the least stomatal resistance of the class", "1", CELL, 0.01, 100
    ),
    Variable(
        "interception_capacity_factor", None, "factor on the water that leaves and stems hold", "1", CELL, 0.01, 100
    ),
    Variable(
        "soil_conductivity_factor", None, "factor on the saturated conductivity of the soil", "1", CELL, 1e-3, 1e3
    ),
    Variable(
        "bed_conductance_factor",
        None,
        "factor on the conductance of river beds",
        "1",
        CELL,
        1e-3,
        1e3,
        "Low flow of a cell recedes in 45 days over this factor, and faster the more water its aquifer holds",
    ),
    Variable(
        "doubling_storage_factor",
        None,
        "factor on the stored water with which an aquifer seeps twice as easily",
        "1",
        CELL,
        1e-3,
        1e3,
        "45 mm above the level of the stream times this factor; with a large one seepage is linear in the head",
    ),
    Variable("leaf_area_factor", None, "factor on the leaf area index of every month", "1", CELL, 0.01, 10),
)

_SURFACE_FLUXES = (
    Variable("rain", "rainfall_flux", "rain", FLUX, CELL, 0, 0.1),
    Variable("snowfall", "snowfall_flux", "snowfall", FLUX, CELL, 0, 0.1),
    Variable(
        "evaporation",
        "water_evapotranspiration_flux",
        "evaporation, transpiration and sublimation",
        FLUX,
        CELL,
        -0.01,
        0.01,
        "Positive to the air",
    ),
    Variable("transpiration", "transpiration_flux", "transpiration", FLUX, CELL, -0.01, 0.01, "Positive to the air"),
    Variable(
        "canopy_evaporation",
        "water_evaporation_flux_from_canopy",
        "evaporation of intercepted water",
        FLUX,
        CELL,
        -0.01,
        0.01,
        "Positive to the air",
    ),
    Variable(
        "soil_evaporation",
        "water_evaporation_flux_from_soil",
        "evaporation from bare soil",
        FLUX,
        CELL,
        -0.01,
        0.01,
        "Positive to the air",
    ),
    Variable(
        "snow_sublimation",
        "surface_snow_and_ice_sublimation_flux",
        "sublimation of snow",
        FLUX,
        CELL,
        -0.01,
        0.01,
        "Positive to the air",
    ),
    Variable("open_water_evaporation", None, "evaporation from rivers and lakes", FLUX, CELL, -0.01, 0.01),
    Variable("glacier_evaporation", None, "evaporation and sublimation of glaciers", FLUX, CELL, -0.01, 0.01),
    Variable("snow_melt", "surface_snow_melt_flux", "melt of snow", FLUX, CELL, -0.1, 0.1),
    Variable("glacier_runoff", None, "water that leaves the glacier", FLUX, CELL, 0, 0.1),
    Variable("infiltration", None, "water that enters the soil", FLUX, CELL, -0.1, 0.1),
    Variable("surface_runoff", "surface_runoff_flux", "surface runoff", FLUX, CELL, 0, 0.1),
    Variable(
        "subsurface_runoff", "subsurface_runoff_flux", "runoff from the ground to the channel", FLUX, CELL, -0.1, 0.1
    ),
    Variable("runoff", "runoff_flux", "total runoff into the channel", FLUX, CELL, -0.1, 0.1),
    Variable(
        "recharge",
        "downward_liquid_water_mass_flux_into_groundwater",
        "recharge of the aquifer",
        FLUX,
        CELL,
        -0.1,
        0.1,
        "Positive from soil to aquifer",
    ),
    Variable(
        "seepage", None, "flow from the aquifer to rivers and lakes", FLUX, CELL, -0.1, 0.1, "Positive to the channel"
    ),
    Variable("exfiltration", None, "water pressed out of a full aquifer onto the surface", FLUX, CELL, 0, 0.1),
    Variable(
        "submarine_groundwater_discharge",
        None,
        "flow from the aquifer to the sea",
        FLUX,
        CELL,
        -0.1,
        0.1,
        "Positive to the sea",
    ),
    Variable(
        "sensible_heat",
        "surface_upward_sensible_heat_flux",
        "sensible heat",
        POWER,
        CELL,
        -2000,
        2000,
        "Positive to the air",
    ),
    Variable(
        "latent_heat", "surface_upward_latent_heat_flux", "latent heat", POWER, CELL, -2000, 2000, "Positive to the air"
    ),
    Variable("net_radiation", "surface_net_downward_radiative_flux", "net radiation", POWER, CELL, -1000, 1500),
)

_STORES = (
    Variable("canopy_water", "canopy_water_amount", "water on leaves and stems", AMOUNT, CELL, 0, 100),
    Variable("snow_amount", "surface_snow_amount", "snow, ice and liquid", AMOUNT, CELL, 0, 1e5),
    Variable("snow_liquid_water", "liquid_water_content_of_surface_snow", "liquid in the snow", AMOUNT, CELL, 0, 1e5),
    Variable("snow_thickness", "surface_snow_thickness", "thickness of the snow", "m", CELL, 0, 300),
    Variable("snow_cover_fraction", "surface_snow_area_fraction", "part covered by snow", "1", CELL, 0, 1),
    Variable("glacier_ice", None, "glacier ice of the cell", AMOUNT, CELL, 0, 1e7),
    Variable("puddle_water", None, "water ponded on the soil", AMOUNT, CELL, 0, 1e4),
    Variable(
        "soil_liquid_water",
        "liquid_water_content_of_soil_layer",
        "liquid water in the soil layer",
        AMOUNT,
        LAYER,
        0,
        1e4,
    ),
    Variable("soil_frozen_water", "frozen_water_content_of_soil_layer", "ice in the soil layer", AMOUNT, LAYER, 0, 1e4),
    Variable("soil_water", "mass_content_of_water_in_soil_layer", "water in the soil layer", AMOUNT, LAYER, 0, 1e4),
    Variable("soil_temperature", "soil_temperature", "temperature of the soil layer", "K", LAYER, 150, 400),
    Variable("soil_porosity", "soil_porosity", "porosity", "1", LAYER, 0, 1),
    Variable(
        "soil_saturated_conductivity",
        "soil_hydraulic_conductivity_at_saturation",
        "conductivity at saturation",
        "m s-1",
        LAYER,
        0,
        1,
    ),
    Variable("soil_suction_at_saturation", None, "suction at saturation, as a head", "m", LAYER, 0, 100),
    Variable("surface_temperature", "surface_temperature", "temperature of the surface skin", "K", CELL, 150, 400),
    Variable(
        "water_table_depth",
        "water_table_depth",
        "depth of the water table",
        "m",
        CELL,
        -1000,
        5000,
        "Positive below the surface",
    ),
    Variable("aquifer_storage", None, "water in the aquifer", AMOUNT, CELL, 0, 1e7),
    Variable("aquifer_head", None, "altitude of the water table", "m", CELL, -2000, 9000),
    Variable("river_depth", None, "depth of water in the channel", "m", CELL, 0, 2000),
    Variable("river_storage", None, "water in the channel", "m3", CELL, 0, 1e13),
    Variable("total_storage", "land_water_amount", "water in all stores of the cell", AMOUNT, CELL, 0, 1e8),
    Variable(
        "discharge",
        "water_volume_transport_in_river_channel",
        "discharge",
        "m3 s-1",
        CELL,
        -1e6,
        1e6,
        "Positive downstream; backwater can reverse it",
    ),
)

_SERIES = (
    Variable("lake_level", "water_surface_height_above_reference_datum", "lake level", "m", LAKE, -500, 9000),
    Variable("lake_area", None, "wetted area of the lake", "m2", LAKE, 0, 1e12),
    Variable("lake_inflow", None, "flow of rivers into the lake", "m3 s-1", LAKE, -1e6, 1e6),
    Variable("lake_outflow", None, "flow of the lake into rivers", "m3 s-1", LAKE, -1e6, 1e6),
)

_SIGNATURES = (
    Variable(
        "runoff_depth",
        "runoff_flux",
        "mean annual runoff depth",
        "kg m-2 year-1",
        CELL,
        -100,
        15000,
        "mm per year of the stated period",
    ),
    Variable("baseflow_index", None, "baseflow over total flow", "1", CELL, 0, 1),
    Variable("gauge_area", None, "drainage area of the gauge as published", "m2", ("gauge",), 0, 1e14),
)

_CALIBRATION = (
    Variable(
        "calibration_status",
        None,
        "outcome of the calibration",
        "1",
        CELL,
        0,
        6,
        codes=OUTCOMES,
        integers="i1",
    ),
    Variable(
        "storage_drift",
        None,
        "change of all water in the cell over the period",
        "kg m-2 year-1",
        CELL,
        -15000,
        15000,
    ),
    Variable(
        "runoff_depth_identifiable",
        None,
        "a tenth more of the parameter that is to meet it moves the runoff depth by over 0.5 %",
        "1",
        CELL,
        0,
        1,
        codes=NO_YES,
        integers="i1",
    ),
    Variable(
        "baseflow_index_identifiable",
        None,
        "a tenth more of the parameter that is to meet it moves the baseflow index by over 0.5 %",
        "1",
        CELL,
        0,
        1,
        codes=NO_YES,
        integers="i1",
    ),
)

_GROUPS = {
    "Domain": _DOMAIN,
    "Predictors": _PREDICTORS,
    "Weather": _FORCING,
    "Parameters": _PARAMETERS,
    "Fluxes": _SURFACE_FLUXES,
    "Stores and states": _STORES,
    "Series": _SERIES,
    "Signatures": _SIGNATURES,
    "Calibration": _CALIBRATION,
}
_ALL = tuple(variable for group in _GROUPS.values() for variable in group)

VARIABLES: dict[str, Variable] = {variable.name: variable for variable in _ALL}

DOMAIN_REQUIRED = ("active", "surface_altitude", "flow_direction", "cell_area")
DOMAIN_OPTIONAL = tuple(v.name for v in _DOMAIN if v.name not in (*DOMAIN_REQUIRED, "latitude", "longitude",
                                                                  "upstream_area"))  # fmt: skip
PREDICTORS = tuple(v.name for v in _PREDICTORS)
FORCING_REQUIRED = tuple(v.name for v in _FORCING[:6])
FORCING_OPTIONAL = tuple(v.name for v in _FORCING[6:])
CALIBRATED = tuple(v.name for v in _PARAMETERS)
GRIDDED_OUTPUTS = tuple(v.name for v in _FORCING[:1] + _SURFACE_FLUXES + _STORES)
LAKE_OUTPUTS = tuple(v.name for v in _SERIES)


def table() -> str:
    """The table of variables in Markdown, as README.md shows it: `python -m chase_jax.variables` prints it."""
    lines = ["| variable | CF standard name | unit | axes | meaning |", "|---|---|---|---|---|"]
    for group, members in _GROUPS.items():
        lines.append(f"| **{group}** | | | | |")
        for v in members:
            codes = ", ".join(f"{code} {word.replace('_', ' ')}" for code, word in v.codes)
            meaning = ". ".join(filter(None, (v.long_name, v.description, codes)))
            standard = f"`{v.standard_name}`" if v.standard_name else ""
            lines.append(f"| `{v.name}` | {standard} | {v.units} | {' '.join(v.dims)} | {meaning} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
