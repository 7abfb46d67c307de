"""What runs in AWS: Lambda handlers, Glue entry points, engines and formats.

Imports neither `dagster`, `asl` nor `pandera`; a function's zip holds only the
modules of this package that it needs.
"""
