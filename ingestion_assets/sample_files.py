"""What the pipelines' sample data has in common: a summary, files with a landing time, a command line.

In: a pipeline's own generator. Out: files, the same bytes and times for the same arguments. Neither
shipped to AWS nor imported by a pipeline.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """What was written: whole files, broken ones among them, and what the readable ones hold.

    Args:
        files: Files written, broken ones included.
        broken_files: Files that cannot be ingested at all.
        records: Records in the readable files, unreadable records included.
        bad_records: Of those, the records that must end in quarantine.
    """

    files: int
    broken_files: int
    records: int
    bad_records: int


def write_landed(path: Path, content: bytes, landed: datetime) -> None:
    """Write a file as if it had landed then, so that outputs named after it are the same ones too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (landed.timestamp(), landed.timestamp()))


def command_line(write: Callable[[Path, int, int], Sample], out: str, files: int) -> None:
    """Run a generator from a shell and print what it wrote.

    Args:
        write: Takes folder, files and seed.
        out: Default folder.
        files: Default count.
    """
    parser = argparse.ArgumentParser(description="Write seeded sample files, good and bad.")
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--files", type=int, default=files)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    made = write(options.out, options.files, options.seed)
    print(  # noqa: T201 - a command line's answer
        f"{made.files} files ({made.broken_files} broken) below {options.out}: "
        f"{made.records} records, {made.bad_records} of them bad"
    )
