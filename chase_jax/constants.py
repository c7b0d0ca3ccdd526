"""Physical constants: value, unit, source.

Values are those of the LSX and IBIS land surface schemes (Pollard and Thompson 1995; Foley et al. 1996) unless a
comment says otherwise. Everything is SI.
"""

STEFAN_BOLTZMANN = 5.67e-8  # W m-2 K-4
VON_KARMAN = 0.4  # 1
GRAVITY = 9.80616  # m s-2
MELTING_TEMPERATURE = 273.16  # K
LATENT_HEAT_VAPORIZATION = 2.5104e6  # J kg-1, at the melting temperature
LATENT_HEAT_FUSION = 0.3336e6  # J kg-1
SPECIFIC_HEAT_WATER = 4218.0  # J kg-1 K-1
SPECIFIC_HEAT_ICE = 2106.0  # J kg-1 K-1
SPECIFIC_HEAT_AIR = 1004.64  # J kg-1 K-1
SPECIFIC_HEAT_VAPOR = 1810.0  # J kg-1 K-1
GAS_CONSTANT_AIR = 287.04  # J kg-1 K-1
GAS_CONSTANT_VAPOR = 461.0  # J kg-1 K-1
MOLECULAR_WEIGHT_RATIO = 0.622  # 1, water vapor over dry air
WATER_DENSITY = 1000.0  # kg m-3; LSX uses it for ice in soil pores too, so that freezing does not expand the soil
ICE_DENSITY = 917.0  # kg m-3
SOLAR_CONSTANT = 1361.0  # W m-2, Kopp and Lean 2011
SECONDS_PER_DAY = 86400.0  # s
DAYS_PER_YEAR = 365.2425  # of the Gregorian calendar
