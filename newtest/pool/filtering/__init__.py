"""Choose rows by rules: filters, fractions, recipes, and the page that shows what a rule dropped."""
