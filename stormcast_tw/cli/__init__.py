"""The command line `stormcast-tw`: one module per group of verbs; every verb calls a flow or a core function."""
