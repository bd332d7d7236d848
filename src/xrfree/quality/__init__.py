"""Statistics of a laboratory: limits, control charts, acceptance, precision, conformity, gates, validation."""
