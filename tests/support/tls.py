"""Certificates of one's own, and TLS in front of a PostgreSQL that has none.

    authority = Authority(folder, "good")
    server = authority.certificate("localhost", "DNS:localhost")     # server.certificate, server.key: files
    with TlsDoor(plain_port, server) as door:                        # speaks the server's side of TLS
        ... postgresql://...@localhost:{door.port}/...?sslmode=verify-full&sslrootcert={authority.certificate_file}

Certificates are made by the program openssl; where it is missing the test is
skipped by name.
"""
import select
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections import namedtuple
from pathlib import Path

import pytest

Pair = namedtuple("Pair", "certificate key")
SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


class Authority:
    """Signs certificates that are good for two days."""

    def __init__(self, folder, name):
        if not shutil.which("openssl"):
            pytest.skip("openssl is not installed here: no certificates can be made")
        self.folder, self.name = Path(folder), name
        self.certificate_file = self.folder / f"{name}.crt"
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=authority {name}",
                      "-keyout", f"{name}.key", "-out", f"{name}.crt")

    def _openssl(self, *words):
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def certificate(self, name, alternative):
        """A pair of files for the name; `alternative` as "DNS:localhost,IP:127.0.0.1"."""
        stem = f"{self.name}-{name}"
        extensions = self.folder / f"{stem}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{stem}.key",
                      "-out", f"{stem}.csr")
        self._openssl("x509", "-req", "-in", f"{stem}.csr", "-CA", f"{self.name}.crt", "-CAkey", f"{self.name}.key",
                      "-CAcreateserial", "-days", "2", "-extfile", extensions.name, "-out", f"{stem}.crt")
        return Pair(self.folder / f"{stem}.crt", self.folder / f"{stem}.key")


class TlsDoor:
    """Listens, answers a client's request for TLS with yes, and hands what it
    says to a plain server. `encrypted` counts handshakes that were completed."""

    def __init__(self, port, pair, client_authority=None):
        self.plain_port, self.encrypted = port, 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.certificate, pair.key)
        if client_authority:
            self.context.load_verify_locations(client_authority.certificate_file)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listening.shutdown(socket.SHUT_RDWR)  # or who waits in accept() would let one more in
        self.listening.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            first = client.recv(8, socket.MSG_WAITALL)
            while len(first) == 8 and struct.unpack("!II", first) == (8, GSS_REQUEST):
                client.sendall(b"N")
                first = client.recv(8, socket.MSG_WAITALL)
            if len(first) == 8 and struct.unpack("!II", first) == (8, SSL_REQUEST):
                client.sendall(b"S")
                client, first = self.context.wrap_socket(client, server_side=True), b""
                self.encrypted += 1
            with client, socket.create_connection(("127.0.0.1", self.plain_port)) as server:
                server.sendall(first)
                self._relay(client, server)
        except OSError:
            client.close()

    @staticmethod
    def _relay(client, server):
        """One thread for both ways: a TLS connection is not for two at once."""
        while True:
            waiting = isinstance(client, ssl.SSLSocket) and client.pending()
            ready = [client] if waiting else select.select([client, server], [], [])[0]
            for source in ready:
                piece = source.recv(1 << 16)
                if not piece:
                    return
                (server if source is client else client).sendall(piece)
