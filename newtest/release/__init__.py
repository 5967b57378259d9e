"""Build, check, export formats, dataset card."""
