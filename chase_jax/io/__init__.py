"""The door: files, dates and units end here."""
