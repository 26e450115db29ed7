"""From an archive to a package. So far: the untrained package, against which everything else is measured."""
