"""Analyses of the sample data that matplotlib carries; each session module lists its plots."""
