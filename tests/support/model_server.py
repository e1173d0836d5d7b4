"""A stand-in for a model server: Ollama's protocol and OpenAI's, on one port.

    with ModelServer() as models:
        models.fail_next("/api/embed", "500", "reset")   # then it works again
        models.hold_next("/api/embed", after=2)          # two answers, and the next waits for models.release()
        models.digest = "sha256:other"                   # the model changed behind its name
        models.requests                                  # [(path, headers, body), ...]

Vectors follow from the texts alone, so that a test can tell which text became
which vector: models.vector(text).
"""
import hashlib
import json
import math
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = ["Tarns", " are", " lakes", " in", " the", " mountains", "."]


def messages_of(body):
    """The messages of a chat, also of one that came as a prompt."""
    if "messages" in body:
        return body["messages"]
    system = [{"role": "system", "content": body["system"]}] if "system" in body else []
    return system + [{"role": "user", "content": body["prompt"]}]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a head and a body in two writes: the second would wait 40 ms for the first one's receipt

    def log_message(self, *_):
        pass

    @property
    def stand_in(self):
        return self.server.stand_in

    def do_GET(self):
        self.take(None)

    def do_POST(self):
        self.take(json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0)))))

    def take(self, body):
        fault = self.stand_in.note(self.path, dict(self.headers), body)
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(self.stand_in.slow_seconds)
        if fault == "hold":
            self.stand_in.released.wait(600)
        if fault in ("500", "503", "400", "401"):
            self.answer({"error": f"as the test wished: {fault}"}, int(fault))
            return
        if fault == "429":
            self.answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "1"})
            return
        route = {"/api/tags": self.tags, "/api/show": self.show, "/api/embed": self.embed, "/api/chat": self.chat,
                 "/api/generate": self.chat, "/v1/models": self.list, "/v1/embeddings": self.embeddings,
                 "/v1/chat/completions": self.completions}.get(self.path)
        if route is None:
            self.answer({"error": "no such path"}, 404)
        else:
            route(body, fault)

    # ---- answers ------------------------------------------------------------------

    def answer(self, value, status=200, headers=None, cut=False, text=None):
        data = (text if text is not None else json.dumps(value)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, content in (headers or {}).items():
            self.send_header(name, content)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.close_connection = True

    def pieces(self, lines, media, fault):
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if fault == "truncated":
            lines = lines[: len(lines) // 2]
        for line in lines:
            data = line.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
            if fault == "slow pieces":
                time.sleep(self.stand_in.slow_seconds)
        if fault == "truncated":
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def vectors(self, texts, fault):
        made = [self.stand_in.vector(text) for text in texts]
        if fault == "count":
            made = made[:-1]
        if fault == "dimension":
            made = [vector + [0.5] for vector in made]
        if fault == "nan":
            made[0][0] = float("nan")
        if fault == "null":
            made[0][0] = None
        return made

    # ---- Ollama -----------------------------------------------------------------------

    def tags(self, _, __):
        self.answer({"models": [
            {"name": f"{name}:latest", "model": f"{name}:latest", "digest": self.stand_in.digest,
             "details": {"family": "bert"}} for name in self.stand_in.names]})

    def show(self, body, _):
        self.answer({"model_info": {"general.architecture": "bert", "bert.context_length": 512,
                                    "bert.embedding_length": self.stand_in.dimension}, "asked": body["model"]})

    def embed(self, body, fault):
        self.answer({"model": body["model"], "embeddings": self.vectors(body["input"], fault)},
                    cut=fault == "truncated")

    def chat(self, body, fault):
        def piece(text):
            return {"response": text} if self.path == "/api/generate" else {"message": {"role": "assistant", "content": text}}
        words = self.stand_in.words(body)
        lines = [json.dumps({"model": body["model"], **piece(word), "done": False}) + "\n" for word in words]
        if fault == "error in stream":
            lines = lines[:2] + [json.dumps({"error": "the runner was killed"}) + "\n"]
        else:
            lines.append(json.dumps({"model": body["model"], **piece(""), "done": True, "prompt_eval_count": 11,
                                     "eval_count": len(words)}) + "\n")
        self.pieces(lines, "application/x-ndjson", fault)

    # ---- OpenAI ---------------------------------------------------------------------------

    def allowed(self):
        if self.stand_in.key and self.headers.get("Authorization") != f"Bearer {self.stand_in.key}":
            self.answer({"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}}, 401)
            return False
        return True

    def list(self, _, __):
        if self.allowed():
            self.answer({"object": "list", "data": [{"id": name, "object": "model"} for name in self.stand_in.names]})

    def embeddings(self, body, fault):
        if not self.allowed():
            return
        made = self.vectors(body["input"], fault)
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(made)]
        self.answer({"object": "list", "model": body["model"], "data": data[::-1]}, cut=fault == "truncated")

    def completions(self, body, fault):
        if not self.allowed():
            return
        words = self.stand_in.words(body)
        deltas = [{"role": "assistant"}] + [{"content": word} for word in words]
        events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        events.append({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": len(words)}})
        lines = [f"data: {json.dumps({'model': body['model'], **event})}\n\n" for event in events]
        self.pieces(lines + ["data: [DONE]\n\n"], "text/event-stream", fault)


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # five of them, as it is by itself, are few for a busy machine: the sixth waits a second


class ModelServer:
    def __init__(self):
        self.dimension = 8
        self.digest = "sha256:" + "1" * 64
        self.names = ["nomic-embed-text", "tiny-chat"]
        self.key = None
        self.slow_seconds = 3
        self.released = threading.Event()  # what "hold" waits for
        self.salt = ""
        self.script = None  # what a language model says: script(messages) -> text
        self.requests = []
        self.faults = {}
        self.lock = threading.Lock()
        self.server = Listener(("127.0.0.1", 0), Handler)
        self.server.stand_in = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def note(self, path, headers, body):
        """Remembers a request; the fault that it shall meet, if any."""
        with self.lock:
            self.requests.append((path, headers, body))
            waiting = self.faults.get(path)
            return waiting.pop(0) if waiting else None

    def fail_next(self, path, *faults):
        with self.lock:
            self.faults.setdefault(path, []).extend(faults)

    def hold_next(self, path, after=0):
        """One request waits for release(), and with it whoever asked: what a test does meanwhile cannot come too late."""
        self.fail_next(path, *[None] * after, "hold")

    def release(self):
        self.released.set()

    def forget(self):
        self.released.clear()
        with self.lock:
            self.requests.clear()
            self.faults.clear()

    def asked(self, path):
        with self.lock:
            return [body for at, _, body in self.requests if at == path]

    def chats(self):
        """The messages of each question to a language model."""
        with self.lock:
            return [messages_of(body) for _, _, body in self.requests if body and ("messages" in body or "prompt" in body)]

    def words(self, body):
        if self.script is None:
            return WORDS
        text = self.script(messages_of(body))
        return [text[i:i + 20] for i in range(0, len(text), 20)]

    def vector(self, text):
        seed = hashlib.sha256((self.salt + text).encode()).digest()
        raw = [seed[i % len(seed)] - 127.5 for i in range(self.dimension)]
        length = math.sqrt(sum(x * x for x in raw))
        return [x / length for x in raw]
