"""Eligibility, strategies, bias correction, diagnostics."""
