"""A TCP peer by Python's socket module, led by lines of JSON on standard input, each answered by one line."""
import base64
import hashlib
import json
import socket
import struct
import sys

sock = None
listener = None


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def listen(host="127.0.0.1", backlog=16):
    global listener
    listener = socket.socket(family(host))
    listener.bind((host, 0))
    listener.listen(backlog)
    return {"port": listener.getsockname()[1]}


def bind(host="127.0.0.1"):
    """A port that is taken, and on which nobody listens."""
    global listener
    listener = socket.socket(family(host))
    listener.bind((host, 0))
    return {"port": listener.getsockname()[1]}


def listen_at(path, backlog=16):
    global listener
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(backlog)


def accept():
    global sock
    sock, address = listener.accept()
    if not isinstance(address, tuple):
        return {}
    return {"host": address[0], "port": address[1]}


def connect(host, port):
    global sock
    sock = socket.socket(family(host))
    sock.connect((host, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return {"port": sock.getsockname()[1]}


def send(data):
    sock.sendall(base64.b64decode(data))


def urgent(data):
    sock.send(base64.b64decode(data), socket.MSG_OOB)


def recv(most=65536):
    return {"data": base64.b64encode(sock.recv(most)).decode()}


def exactly(count):
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        if not chunk:
            break
        data += chunk
    return {"data": base64.b64encode(data).decode()}


def drain():
    """To the end of the stream; the error instead where there is one."""
    seen, count = hashlib.sha1(), 0
    try:
        while chunk := sock.recv(65536):
            seen.update(chunk)
            count += len(chunk)
        how = "end"
    except OSError as error:
        how = type(error).__name__
    return {"count": count, "sha1": seen.hexdigest(), "how": how}


def shutdown():
    sock.shutdown(socket.SHUT_WR)


def reset():
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def close():
    (sock or listener).close()


def segments():
    """tcpi_data_segs_in of <linux/tcp.h>: how many segments with data have come."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return {"in": struct.unpack_from("I", info, 152)[0]}


VERBS = {f.__name__: f for f in (listen, bind, listen_at, accept, connect, send, urgent, recv, exactly, drain, shutdown, reset, close, segments)}

for line in sys.stdin:
    given = json.loads(line)
    try:
        answer = VERBS[given.pop("verb")](**given) or {}
    except OSError as error:
        answer = {"error": type(error).__name__}
    print(json.dumps(answer), flush=True)
