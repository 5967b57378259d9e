"""The page and the figures that show what was found."""
