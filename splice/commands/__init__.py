"""The commands of `splice`, one module each, with `main(arguments, program) -> exit status`."""
