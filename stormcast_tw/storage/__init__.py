"""Everything that touches a disk or an object store: artifacts, pointers, and the files of providers."""
