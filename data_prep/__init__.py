"""From raw rasters and tables to the files the model reads; one module per recipe or source."""
