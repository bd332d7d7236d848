"""Compiled loops: arrays in, arrays out. The only room that imports numba; no kernel calls one of another file."""
