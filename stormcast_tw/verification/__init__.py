"""Is it any good? Scores that are sums, baselines, intervals and the scorecard."""
