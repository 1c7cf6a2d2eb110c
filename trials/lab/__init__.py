"""What all trials share: the service as a process, the servers it needs, clients, a report.

`lab` says which program is tried and with which servers; `deployment` starts all of it.
Knows nothing about what a trial checks.
"""

from .access_tokens import access_token
from .api import Answer, Api, ConnectionLost, approve, new_email
from .background import Background
from .deployment import DATABASE, SQLITE_FILE, Deployment
from .disk import Disk
from .lab import Lab, release_build
from .load import Load, Result
from .processes import TimedOut, eventually, free_port, pause
from .report import Report, percentiles
from .service import EMBEDDED, SERVERS, Service

__all__ = [
    "Answer", "Api", "Background", "ConnectionLost", "DATABASE", "Deployment", "EMBEDDED",
    "Lab", "Load", "Report", "Result", "SERVERS", "SQLITE_FILE", "Service", "Disk",
    "TimedOut", "access_token", "approve", "eventually", "free_port", "new_email", "pause",
    "percentiles", "release_build",
]
