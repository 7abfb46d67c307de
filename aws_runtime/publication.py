"""Which version's files of one source are out: claims and hand-overs by conditional writes, without a lock.

In: the names of the files that a run makes from one version of a file. Out: whether they are
published, or a newer version was there first; then nothing of this run stays.

`_runs/<pipeline>/<asset>/_published/<digest of bucket and key>.json` names its owner, every file
that may exist, and the files of older runs that were not seen to end (docs/guarantees.md).
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from aws_runtime import documents, storage

#: A conditional write fails only because another one succeeded, so this many in a row is a fault.
ATTEMPTS = 100
#: Sequencers are hexadecimal texts; the shorter of two is filled up with zeros on its right.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
_SEQUENCER_DIGITS = 64


class PublicationContendedError(Exception):
    """The publication record changed before each of a hundred writes; a retry may do better."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run, as publication records know it.

    Args:
        stem: The name that all its files carry: event time and identity.
        identity: Digest of the version that it reads.
        event_time: ISO 8601 in UTC, with microseconds: texts sort as times do.
        sequencer: Orders versions of one time.
        record: URI of its run record, which is there once the run has ended well.
        again: Whether it has claimed more than once, so that the record may be of an earlier attempt.
    """

    stem: str
    identity: str
    event_time: str
    sequencer: str
    record: str
    again: bool = False

    def precedes(self, other: Run) -> bool:
        """Whether it reads an older version than `other`; two runs of one version replace each other."""
        return self.identity != other.identity and order(self) < order(other)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An older run that may still be writing its files."""

    run: Run
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Publication:
    """The publication record of one source.

    Args:
        owner: The newest run.
        files: Its files; some of them may not exist yet.
        stale: Files of earlier runs that are about to be deleted.
        unsettled: Older runs, by stem.
    """

    owner: Run
    files: tuple[str, ...]
    stale: tuple[str, ...] = ()
    unsettled: Mapping[str, Unsettled] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a publication record is, and the prefixes below which its files may be deleted."""

    uri: str
    prefixes: tuple[str, ...]


def publish(at: Place, run: Run, files: Iterable[str], upload: Callable[[], None] | None) -> bool:
    """Make `files` the published ones of their source, by calling `upload`.

    Args:
        at: The publication record of the source.
        run: Who publishes.
        files: URIs of all files of the run.
        upload: Writes them; None when they are already there.

    Returns:
        False when a newer version has taken over; then none of the run's files stays.

    Raises:
        PublicationContendedError: Others changed the record all the time.
    """
    wanted = tuple(sorted(files))
    held = _claim(at, run, wanted)
    if held is not None:
        if upload is not None:
            upload()
        if _settle(at.uri, *held):
            return True
    # Also where the claim has failed: an attempt that was given up may have written some of them.
    _withdraw(at.uri, run, wanted)
    return False


def is_replaced(uri: str, stem: str) -> bool:
    """Whether another run than that of `stem` owns the publication record at `uri`."""
    found = documents.read(Publication, uri)
    return found is not None and found[0].owner.stem != stem


def _withdraw(uri: str, run: Run, files: Iterable[str]) -> None:
    """Delete `files` and whatever else the record knows of `run`, then strike it off the record."""
    mine = set(files)
    for _ in _attempts(uri):
        found = documents.read(Publication, uri)
        unsettled = found[0].unsettled.get(run.stem) if found else None
        if unsettled is not None:
            mine.update(unsettled.files)
        storage.delete_all(mine)
        mine = set()
        if found is None or unsettled is None:
            return
        publication, etag = found
        others = {stem: one for stem, one in publication.unsettled.items() if stem != run.stem}
        if documents.write(uri, replace(publication, unsettled=others), etag) is not None:
            return


def _claim(at: Place, run: Run, wanted: tuple[str, ...]) -> tuple[Publication, str] | None:
    """Become the owner; None when the owner has a newer version."""
    uri = at.uri
    # Most files are new: the first write asks for no read.
    claim = Publication(run, wanted)
    etag = documents.write(uri, claim, None)
    for _ in _attempts(uri):
        if etag is not None:
            return claim, etag
        found = documents.read(Publication, uri)
        if found is None:
            etag = documents.write(uri, claim, None)
            continue
        if run.precedes(found[0].owner):
            return None
        claim = _taken_over(found[0], run, wanted, at.prefixes)
        etag = documents.write(uri, claim, found[1])
    raise AssertionError  # `_attempts` raises before


def _taken_over(
    found: Publication, run: Run, wanted: tuple[str, ...], prefixes: tuple[str, ...]
) -> Publication:
    """Return the record in which `run` owns what `found` names."""
    unsettled = {stem: one for stem, one in found.unsettled.items() if not _ended(one.run)}
    if found.owner.stem == run.stem:
        run = replace(run, again=True)
    elif not _ended(found.owner):
        unsettled[found.owner.stem] = Unsettled(found.owner, found.files)
    unsettled.pop(run.stem, None)
    if order(run) < order(found.owner):
        # The same version, sent again with an earlier time: what it outranks does not change.
        run = replace(run, event_time=found.owner.event_time, sequencer=found.owner.sequencer)
    left = {*found.files, *found.stale, *(f for one in found.unsettled.values() for f in one.files)}
    stale = sorted(uri for uri in left - set(wanted) if uri.startswith(prefixes))
    return Publication(run, wanted, tuple(stale), unsettled)


def _settle(uri: str, held: Publication, etag: str) -> bool:
    """Delete what is stale; returns whether the run still owns the record after all was written."""
    storage.delete_all(held.stale)
    now = (held, etag) if held.stale else documents.read(Publication, uri)
    for _ in _attempts(uri):
        if now is None or now[0].owner.stem != held.owner.stem:
            return False
        if not now[0].stale or documents.write(uri, replace(now[0], stale=()), now[1]) is not None:
            return True
        now = documents.read(Publication, uri)
    raise AssertionError  # `_attempts` raises before


def _ended(run: Run) -> bool:
    return not run.again and storage.get_json(run.record) is not None


def order(run: Run) -> tuple[str, str, str]:
    """Return what versions of one key are ordered by."""
    return run.event_time, run.sequencer.upper().ljust(_SEQUENCER_DIGITS, "0"), run.identity


def _attempts(uri: str) -> Iterator[int]:
    yield from range(ATTEMPTS)
    raise PublicationContendedError(f"{uri} was changed by others {ATTEMPTS} times in a row")
