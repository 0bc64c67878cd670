"""The second door: the interceptor's health, and whether programs trust what it signs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from sidecar.doctor.finding import Finding
from sidecar.doctor.scene import Scene

EXPIRES_SOON_DAYS: Final = 14
RECENTLY: Final = timedelta(hours=1)
PORT_FIX: Final = "Is its port free? `cgw up --intercept --intercept-port 0` takes any."


def interceptor(scene: Scene) -> Iterator[Finding]:
    told = scene.told_of_the_interceptor
    state = told.get("state", "off")
    if scene.running is None:
        yield from _before_it_starts(scene)
    elif state == "running":
        yield Finding("interceptor", "ok", f"The interceptor runs at {told.get('url')}.")
    elif state != "off":
        why = f": {told['error']}" if told.get("error") else "."
        fix = f"{PORT_FIX} {scene.home.log_file} has more." if state == "restarting" else None
        yield Finding("interceptor", "problem" if fix else "note", f"The interceptor is {state}{why}", fix)
    if warning := told.get("warning"):
        warned = datetime.fromisoformat(told["warned"])
        is_new = datetime.now(UTC) - warned < RECENTLY
        said = f"{warned.astimezone():%Y-%m-%d %H:%M}: {warning}"
        yield Finding("interceptor", "warning" if is_new else "note", said)


def _before_it_starts(scene: Scene) -> Iterator[Finding]:
    from sidecar.interception.interceptor import InterceptorError, free_port

    if not scene.settings.intercept:
        return
    try:
        free_port(scene.settings.intercept_port)
    except InterceptorError as error:
        yield Finding("interceptor", "problem", f"No cgw runs, and it could not start: {error}")


def authority(scene: Scene) -> Iterator[Finding]:
    """Only where interception was ever set up."""
    from sidecar.interception.authority import authority_of, is_for, trusted_by_the_system

    files = authority_of(scene.home)
    certificate = files.certificate
    if not certificate.exists():
        return
    from cryptography import x509

    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    ends = loaded.not_valid_after_utc
    left = (ends - datetime.now(UTC)).days
    anew = f"`cgw ca untrust`, delete {files.folder}, start `cgw up --intercept`, then `cgw ca trust`."
    if left < 0:
        said = f"The certificate authority of the interceptor expired on {ends:%Y-%m-%d}."
        yield Finding("authority", "problem", said, anew)
    elif left < EXPIRES_SOON_DAYS:
        said = f"The certificate authority of the interceptor expires in {left} days."
        yield Finding("authority", "warning", said, anew)
    elif not is_for(loaded, scene.settings.intercept_hosts):
        said = "The interceptor's authority is for other hosts than INTERCEPT_HOSTS names now."
        yield Finding("authority", "warning", said, "`cgw ca untrust`; the next `cgw up --intercept` makes another.")
    else:
        yield Finding("authority", "ok", f"The interceptor's certificate authority is good until {ends:%Y-%m-%d}.")
    if (trusted := trusted_by_the_system(loaded)) is not None:
        yield _trust(trusted=trusted)


def _trust(*, trusted: bool) -> Finding:
    if trusted:
        return Finding("trust", "ok", "This system trusts the interceptor's authority.")
    said = "This system does not trust the interceptor's authority: only programs that `cgw run --intercept` starts do."
    return Finding("trust", "note", said, "Where a program needs it: `cgw ca trust` shows how.")
