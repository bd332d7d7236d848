"""Tube, lines and scatter of a specimen: Sherman's equation and what surrounds it."""
