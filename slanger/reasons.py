"""Why a connection to another server failed, in few words for the log."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet import defer, error
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed


def reason_of(failure: Failure) -> str:
    """Say what failed, in the system's own words where it has any, such as ``Connection refused``; never nothing."""
    fault: BaseException | None = failure.value
    while isinstance(fault, ResponseFailed) and fault.reasons:
        fault = fault.reasons[0].value
    match fault:
        case error.TimeoutError() | defer.TimeoutError() | defer.CancelledError():
            return "no answer in time"
        case error.ConnectionDone() | error.ConnectionLost():
            return "the other side closed the connection"
        case SSL.Error(args=[[*errors]]) if errors:
            return "; ".join(str(each[-1]) for each in errors)
        case error.ConnectError(args=[str(said)]) if said:
            return said
    return str(fault).rstrip(".") or type(fault).__name__
