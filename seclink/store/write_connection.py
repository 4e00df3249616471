"""The connection that writes: the settings, counters and audit entries that its transactions need."""

from seclink.errors import StorageFull
from seclink.store.audit_log import AuditedConnection
from seclink.store.db_pages import used_bytes

MEASURED_BYTES = 16 * 2**20
ANONYMOUS_PARTS = 4  # of the file, all but one of which anonymous creators may fill


class WriteConnection(AuditedConnection):
    """`next_id` is the id of the next secret. `free_bytes` were free when the file was measured, less what was added
    since; `unmeasured_bytes` may be added before it is measured again.
    """

    next_id: int
    keep_ms: int
    audit_ms: int
    max_bytes: int
    free_bytes: int = 0
    unmeasured_bytes: int = 0

    def reconfigure(self, keep_seconds: int, audit_seconds: int, max_bytes: int) -> None:
        self.keep_ms, self.audit_ms = keep_seconds * 1000, audit_seconds * 1000
        self.max_bytes, self.free_bytes = max_bytes, 0

    def reserve(self, size: int, *, is_anonymous: bool = False) -> None:
        """Take `size` bytes from what the file may still grow by; the last quarter is not for anonymous creators.

        Raises StorageFull.
        """
        needed = size + (self.max_bytes // ANONYMOUS_PARTS if is_anonymous else 0)
        if self.unmeasured_bytes < size or self.free_bytes < needed:
            self.free_bytes, self.unmeasured_bytes = self.max_bytes - used_bytes(self), max(MEASURED_BYTES, size)
            if self.free_bytes < needed:
                raise StorageFull()
        self.free_bytes -= size
        self.unmeasured_bytes -= size
