"""The mathematics of verification: scores, the sums they are made of, and their confidence intervals."""
