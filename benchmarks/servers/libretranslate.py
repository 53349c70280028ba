"""LibreTranslate's request path, with as little around it as can be.

As in LibreTranslate 1.9 and Argos Translate: Flask on waitress with four threads; one
CTranslate2 translator for all, one batch at a time on all cores, `compute_type` "auto"; every
text of a list is translated by itself, split at line ends, beam 4, length penalty 0.2. Left
out, in its favour: finding sentences with a network, caching, limits, and the repair of case
and punctuation.
"""

import sys

import waitress
from flask import Flask, request

from benchmarks.servers.peer import Peer

THREADS = 4
BEAM = 4


def create_app() -> Flask:
    """`POST /translate` with `q`, a text or a list of texts."""
    peer = Peer("auto", batches=1, threads=0)

    def hypothesis(text: str) -> str:
        paragraphs = text.split("\n")
        return "\n".join(peer.translate([paragraph], BEAM)[0] for paragraph in paragraphs)

    def translate() -> dict[str, object]:
        q = request.get_json()["q"]
        if isinstance(q, list):
            return {"translatedText": [hypothesis(text) for text in q]}
        return {"translatedText": hypothesis(q)}

    app = Flask(__name__)
    app.add_url_rule("/translate", view_func=translate, methods=["POST"])
    return app


def main() -> None:
    """Serve on a port that the system chooses, and say which."""
    server = waitress.create_server(create_app(), host="127.0.0.1", port=0, threads=THREADS)
    print(f"running on http://127.0.0.1:{server.effective_port}", file=sys.stderr, flush=True)
    server.run()


if __name__ == "__main__":
    main()
