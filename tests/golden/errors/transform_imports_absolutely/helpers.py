"""A sibling."""


def same(frame):
    """Return the frame."""
    return frame
