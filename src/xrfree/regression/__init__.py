"""Linear calibration curves with errors in all columns, and every question a calibration engineer asks of them."""
