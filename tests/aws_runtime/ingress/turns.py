"""Threads that take turns: between any two AWS calls, a seed decides who makes the next one.

Only one thread ever runs, so a test of two hundred of them is as repeatable as a test of one.
"""

import queue
import random
import threading


class Turns:
    """A schedule by seed.

    Args:
        seed: Of the choices.
    """

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.local = threading.local()
        self.told = queue.Queue()
        self.permits = []
        self.errors = []

    def gate(self, **_):
        """Wait for this thread's turn; threads of other tests' making go on."""
        number = getattr(self.local, "number", None)
        if number is not None:
            self.told.put(("waits", number))
            self.permits[number].acquire()

    def run(self, jobs):
        """Run all jobs to their ends."""
        self.permits = [threading.Semaphore(0) for _ in jobs]
        threads = [threading.Thread(target=self._work, args=each, daemon=True) for each in enumerate(jobs)]
        for thread in threads:
            thread.start()
        waiting = sorted(self.told.get(timeout=60)[1] for _ in threads)
        while waiting:
            self.permits[waiting.pop(self.rng.randrange(len(waiting)))].release()
            what, number = self.told.get(timeout=60)
            if what == "waits":
                waiting.append(number)
        for thread in threads:
            thread.join(timeout=60)
        assert not self.errors, self.errors

    def _work(self, number, job):
        self.local.number = number
        self.gate()
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.errors.append(error)
        self.told.put(("ended", number))
