"""The command line `stormcast-tw`: one module a group of verbs; every verb calls a flow or a core function."""
