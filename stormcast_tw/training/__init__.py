"""From a training dataset to a model package: recipes, the stages, checkpoints, validation, calibration, the card."""
