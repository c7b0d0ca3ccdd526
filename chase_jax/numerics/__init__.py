"""How equations are solved; nothing here knows hydrology."""
