"""From what providers have delivered to the fields that a model starts from: readiness, fetch, prepare."""
