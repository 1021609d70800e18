#!/bin/sh
# What a GPU does with Splice, in one JSON file and under eight minutes: see gpu.py, and
# docs/performance.md. PYTHON names the interpreter, python3 by default.
exec "${PYTHON:-python3}" "$(dirname "$0")/gpu.py" "$@"
