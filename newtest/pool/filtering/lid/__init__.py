"""fastText's language identification of many captions at once: the model's file, words, n-grams, the labels' tree."""
