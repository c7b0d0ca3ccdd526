"""Skill of a run against observations."""
