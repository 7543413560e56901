"""How many functions a worker claims at a time: one, and twice as many each time that turned out well."""

LARGEST = 100


class GroupSize:
    """Grows with a backlog of short mutations; shrinks without one, and when they are long or something goes wrong."""

    def __init__(self) -> None:
        #: How many to claim next.
        self.next = 1

    def went_well(self, executed: int) -> None:
        """So many were executed: as many as were claimed, or as there was time for."""
        self.next = min(2 * executed, LARGEST) if executed >= self.next else max(executed, 1)

    def went_wrong(self) -> None:
        """A group was rolled back, or what was due first cannot be part of one."""
        self.next = 1
