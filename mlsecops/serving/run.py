"""Starting the service: uvicorn, TLS for demonstrations, and what ``python -m mlsecops serve`` does."""

import contextlib
import datetime
import ipaddress
import multiprocessing
import os
import secrets
import signal
import sys
import tempfile
import threading
from pathlib import Path

from mlsecops.salary.storage import ModelFileError, load
from mlsecops.serving.app import create_app
from mlsecops.serving.interval import load_width
from mlsecops.serving.keys import issue_key
from mlsecops.serving.settings import Settings, derive

MODEL_VARIABLE = "SALARY_MODEL"  # how worker processes learn which model to serve


def app_from_environment():
    """What each worker runs: the app for the model folder in SALARY_MODEL, configured by the SALARY_… variables."""
    import torch

    torch.set_num_threads(1)  # one row at a time: threads would only wait for each other
    if parent := multiprocessing.parent_process():  # a worker must not outlive a supervisor that was killed
        _in_background(parent.join, lambda: signal.raise_signal(signal.SIGTERM))
    folder = os.environ[MODEL_VARIABLE]
    return create_app(load(folder), Settings(), interval=load_width(folder))


def serve(model_dir, *, host="127.0.0.1", port=8000, workers=1, tls=False, demo=False, until_stdin_closes=False):
    """Serve the model saved in ``model_dir`` (with its interval.json) until interrupted. Returns the exit code.

    ``port`` 0 takes a free one; the address is printed as ``serving on http://…`` once it is taken. ``tls`` makes a
    certificate for this run. ``demo`` sets a secret and one API key, printed as ``key: …``, where the environment has
    none. ``until_stdin_closes`` ends the service with whoever started it, however that one ended.
    Exit code 0 after a normal end, 2 when the configuration or the model cannot be used.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    os.environ[MODEL_VARIABLE] = str(Path(model_dir).resolve())
    if demo and "SALARY_SECRET" not in os.environ:
        os.environ["SALARY_SECRET"] = secret = secrets.token_urlsafe(32)
        text, key = issue_key("demo", derive(secret, "api keys"))
        os.environ["SALARY_API_KEYS"] = f"[{key.model_dump_json()}]"
        print(f"key: {text}", flush=True)
    try:
        Settings()
        load(model_dir)
        load_width(model_dir)
    except (ModelFileError, ValueError, OSError) as error:
        print(f"cannot serve: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="mlsecops-tls-") as folder:
        certificate = self_signed(folder) if tls else (None, None)
        config = uvicorn.Config(
            "mlsecops.serving.run:app_from_environment",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            ssl_certfile=certificate[0],
            ssl_keyfile=certificate[1],
            proxy_headers=False,  # our own ClientAddress decides whom to believe; uvicorn believes loopback
            server_header=False,
            access_log=False,  # the audit log is the record
            log_level="warning",
            timeout_graceful_shutdown=5,
        )
        socket = config.bind_socket()
        print(f"serving on {'https' if tls else 'http'}://{host}:{socket.getsockname()[1]}", flush=True)
        if workers > 1:
            supervisor = Multiprocess(config, sockets=[socket])
            run, stop = supervisor.run, supervisor.should_exit.set
        else:
            server = uvicorn.Server(config)
            run, stop = lambda: server.run(sockets=[socket]), lambda: setattr(server, "should_exit", True)
        if until_stdin_closes:
            _in_background(_drain_stdin, stop)
        with contextlib.suppress(KeyboardInterrupt):
            run()
        socket.close()
    return 0


def _drain_stdin():
    while os.read(0, 4096):  # not sys.stdin: a thread that waits in there holds a lock when Python ends
        pass


def _in_background(wait, then):
    threading.Thread(target=lambda: (wait(), then()), daemon=True).start()


def self_signed(folder, names=("localhost", "127.0.0.1", "::1"), days=7):
    """Write a new private key and a certificate for ``names`` that it signed itself; returns both paths (str).

    The certificate is its own authority: a client that is given it as its only trusted one knows that it talks to
    whoever holds the key. In production a certificate comes from an authority that clients know already.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = Path(folder) / "certificate.pem", Path(folder) / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    os.close(os.open(paths[1], os.O_CREAT | os.O_WRONLY, 0o600))  # nobody else reads it, not even for a moment
    form = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return tuple(map(str, paths))


def _alternative(name):
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
