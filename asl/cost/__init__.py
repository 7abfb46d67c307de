"""`asl cost`, in stages: workload -> scenarios -> path of the machine -> usage -> dollars -> report.

`workload` is what arrives. `scenarios` makes the declared pipeline's alternatives. `path` counts what
one execution does in the compiled machine. `usage` turns both into quantities that AWS bills, and
`estimate` into dollars. `report` prints. Nothing here calls AWS.
"""
