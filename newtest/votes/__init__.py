"""Votes -> worker quality -> selection frequencies."""
