"""The command line: one module each, with `main(arguments, program) -> exit status`.

In come words that somebody typed. Out come calls of the other rooms, what they print, and exit
statuses.
"""

MODULES = ("cli",)
"""Modules that other rooms may use."""
