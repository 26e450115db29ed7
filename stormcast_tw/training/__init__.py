"""From a training dataset to a model package: recipes, stages, checkpoints, validation, calibration, model card."""
