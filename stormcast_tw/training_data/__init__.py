"""From an archive of past hours to a training dataset."""
