"""One contender, in a process of its own: `python -m bench.contend MODULE NAME FILE OUT` -> counts as JSON."""

import importlib
import json
import os
import sys

if __name__ == "__main__":
    module, name, given, target = sys.argv[1:]
    print(json.dumps(getattr(importlib.import_module(module), name)(given, target)))
    # pyarrow's threads sometimes abort an interpreter that is going down: "terminate called".
    sys.stdout.flush()
    os._exit(0)
