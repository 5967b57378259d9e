"""wnid -> class (lemmas, gloss, hypernyms) -> search queries."""
