"""Detached signatures of evidence files, made and checked by OpenSSH.

``FILE.sig`` next to ``FILE`` is a signature of ``ssh-keygen -Y sign`` in the namespace "omnigrok".
An allowed-signers file lists who may sign (``man ssh-keygen``, ALLOWED SIGNERS).
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from omnigrok.errors import BadInput, EvidenceError

NAMESPACE = "omnigrok"
SECONDS = 60  # sign may ask for the passphrase of the key


def signature_of(path: Path) -> Path:
    """Where the signature of a file lies."""
    return path.with_name(path.name + ".sig")


def sign(path: Path, key: Path) -> Path:
    """Sign a file with an SSH key; the signature.

    Raises:
        BadInput: there is no ssh-keygen, or it cannot sign.
    """
    target = signature_of(path)
    target.unlink(missing_ok=True)
    done = _ssh_keygen("sign", "-f", str(key), "-n", NAMESPACE, str(path))
    if done.returncode or not target.exists():
        raise BadInput(f"{path} was not signed: {_said(done)}")
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
    with path.open("rb") as content:
        done = _ssh_keygen("verify", *known, "-I", signer, "-n", NAMESPACE, content=content.read())
    if done.returncode:
        raise EvidenceError(f"evidence {path}: its signature does not hold: {_said(done)}")
    return signer


def _ssh_keygen(
    action: str, *arguments: str, content: bytes = b""
) -> subprocess.CompletedProcess[str]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise BadInput(
            "signatures need ssh-keygen of OpenSSH 8.2 or later, which is not on the PATH"
        )
    command = [program, "-Y", action, *arguments]
    done = subprocess.run(  # noqa: S603 (its arguments are paths)
        command, input=content, capture_output=True, check=False, timeout=SECONDS
    )
    texts = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(command, done.returncode, *texts)


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stderr or done.stdout).split())[:300]
