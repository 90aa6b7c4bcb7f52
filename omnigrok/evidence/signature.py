"""Detached signatures of evidence files, made and checked by OpenSSH.

``FILE.sig`` next to ``FILE`` is a signature of ``ssh-keygen -Y sign`` in the namespace "omnigrok".
An allowed-signers file lists who may sign (``man ssh-keygen``, ALLOWED SIGNERS).
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from omnigrok.errors import BadInput, EvidenceError
from omnigrok.files import replacing

NAMESPACE = "omnigrok"
SECONDS = 60  # of a command that asks for nothing


def signature_of(path: Path) -> Path:
    """Where the signature of a file lies."""
    return path.with_name(path.name + ".sig")


def sign(path: Path, key: Path) -> Path:
    """Sign a file with an SSH key, whose passphrase is asked for on the terminal; the signature.

    Raises:
        BadInput: there is no ssh-keygen, or it cannot sign; an older signature stays.
    """
    target = signature_of(path)
    try:
        with TemporaryDirectory() as folder:
            link = Path(folder) / path.name
            link.symlink_to(path.resolve())
            done = _ssh_keygen("sign", "-f", str(key), "-n", NAMESPACE, str(link))
            if done.returncode or not signature_of(link).exists():
                raise BadInput(f"{path} was not signed: {_said(done)}")
            with replacing(target) as file:
                file.write(signature_of(link).read_bytes())
    except OSError as error:
        raise BadInput(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


def signer_of(path: Path, allowed: Path) -> str:
    """Who of the allowed signers has signed a file.

    Raises:
        EvidenceError: it is not signed, was changed since, or by somebody who is not allowed.
        BadInput: there is no ssh-keygen, or no file of allowed signers.
    """
    signature = signature_of(path)
    if not allowed.is_file():
        raise BadInput(f"{allowed}: there is no such file of allowed signers")
    if not signature.is_file():
        raise EvidenceError(f"evidence {path}: it is not signed: there is no {signature.name}")
    known = ("-s", str(signature), "-f", str(allowed))
    found = _ssh_keygen("find-principals", *known)
    if found.returncode or not found.stdout.strip():
        raise EvidenceError(f"evidence {path}: {allowed} does not allow its signer")
    signer = found.stdout.splitlines()[0]
    done = _ssh_keygen("verify", *known, "-I", signer, "-n", NAMESPACE, signed=path)
    if done.returncode:
        raise EvidenceError(f"evidence {path}: its signature does not hold: {_said(done)}")
    return signer


def _ssh_keygen(
    action: str, *arguments: str, signed: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it; only to sign it has the terminal, and all the time that a passphrase takes.

    Raises:
        BadInput: it is not here, cannot be started, or does not end.
    """
    program = shutil.which("ssh-keygen")
    if program is None:
        raise BadInput(
            "signatures need ssh-keygen of OpenSSH 8.2 or later, which is not on the PATH"
        )
    command = [program, "-Y", action, *arguments]
    asks = action == "sign"
    try:
        with ExitStack() as stack:
            content = stack.enter_context(signed.open("rb")) if signed else subprocess.DEVNULL
            done = subprocess.run(  # noqa: S603 (its arguments are paths)
                command,
                stdin=None if asks else content,
                capture_output=True,
                check=False,
                timeout=None if asks else SECONDS,
            )
    except OSError as error:
        raise BadInput(f"{program}: cannot be started: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise BadInput(f"{program}: did not end within {SECONDS} seconds") from error
    texts = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(command, done.returncode, *texts)


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stderr or done.stdout).split())[:300]
