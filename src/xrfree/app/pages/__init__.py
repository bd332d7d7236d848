"""The pages of the bench, one module each."""
