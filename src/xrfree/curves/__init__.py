"""Calibration curves of line intensities: wavelength-dispersive rates and fitted areas on one path."""
