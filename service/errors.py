"""Every failure that a caller can meet, each with its code and HTTP status.

    InterlineaError                 internal_error          500
    ├── RequestError                invalid_request         422
    │   ├── MalformedRequest        malformed_request       400
    │   ├── MalformedBody           malformed_body          400
    │   ├── InvalidEncoding         invalid_encoding        400
    │   ├── Unauthorized            unauthorized            401
    │   ├── Forbidden               forbidden               403
    │   ├── OriginNotAllowed        origin_not_allowed      403
    │   ├── HeaderTimeout           header_timeout          408
    │   ├── BodyTimeout             body_timeout            408
    │   ├── BodyTooLarge            body_too_large          413
    │   ├── UnsupportedMediaType    unsupported_media_type  415
    │   ├── UnknownHost             unknown_host            421
    │   ├── RateLimited             rate_limited            429
    │   ├── QuotaExceeded           quota_exceeded          429
    │   ├── HeadersTooLarge         headers_too_large       431
    │   ├── UnknownRoute            not_found               404
    │   ├── WrongMethod             method_not_allowed      405
    │   ├── UnknownPair             unknown_pair            422
    │   ├── AmbiguousPair           ambiguous_pair          422
    │   ├── NoReverseModel          no_reverse_model        422
    │   ├── SentenceTooLong         sentence_too_long       422
    │   ├── TextTooLong             text_too_long           422
    │   ├── TooManyTexts            too_many_texts          422
    │   ├── TooManyTokens           too_many_tokens         422
    │   ├── TooManyHypotheses       too_many_hypotheses     422
    │   ├── AttentionTooLarge       attention_too_large     422
    │   ├── InvalidBeam             invalid_beam            422
    │   ├── EmptyWord               empty_word              422
    │   └── ReloadInProgress        reload_in_progress      409
    ├── Unavailable                 unavailable             503
    │   ├── QueueFull               queue_full              503
    │   ├── TooManyConnections      too_many_connections    503
    │   ├── DeadlineExceeded        deadline_exceeded       504
    │   ├── AnswerUnread            answer_unread           503
    │   └── ShuttingDown            shutting_down           503
    ├── Cancelled                   cancelled               499
    ├── StepFailed                  step_failed             500
    ├── KeysError                   keys_error              500
    └── BundleError                 bundle_error            500
        ├── UnsealedBundle          unsealed_bundle         500
        ├── DamagedBundle           damaged_bundle          500
        └── DeviceMissing           device_missing          500

`responses.py` is the one place that turns these into answers; `docs/api.md` lists every code.
"""

from collections.abc import Mapping

Detail = Mapping[str, object]

MOST_MESSAGE = 500
"""Characters of a message that quotes what others wrote."""


def printable(text: str) -> str:
    """Return what others wrote as one line that can be shown; `?` is what cannot."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


class InterlineaError(Exception):
    """A failure with a stable code; `detail` holds facts that a program can act on.

    `retry_after` is after how many seconds another try may succeed, where time can help.
    """

    code = "internal_error"
    status = 500
    retry_after: int | None = None

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = dict(detail) if detail else None


class RequestError(InterlineaError):
    """The request cannot be served as it stands; nothing was started."""

    code = "invalid_request"
    status = 422


class MalformedRequest(RequestError):
    """What came is not HTTP."""

    code = "malformed_request"
    status = 400


class MalformedBody(RequestError):
    """The body is not JSON."""

    code = "malformed_body"
    status = 400


class InvalidEncoding(RequestError):
    """The text is not valid Unicode: bad UTF-8 or a lone surrogate."""

    code = "invalid_encoding"
    status = 400


class Unauthorized(RequestError):
    """The request brings no key, or none that counts; `challenge` says so as RFC 6750 has it."""

    code = "unauthorized"
    status = 401
    challenge = 'Bearer realm="interlinea"'


class Forbidden(RequestError):
    """Only an admin may do this, and nothing says that this client is one."""

    code = "forbidden"
    status = 403


class OriginNotAllowed(RequestError):
    """A page of an origin that is not on the list asks to be let in."""

    code = "origin_not_allowed"
    status = 403


class HeaderTimeout(RequestError):
    """The headers did not come in time."""

    code = "header_timeout"
    status = 408


class BodyTimeout(RequestError):
    """The body did not come in time."""

    code = "body_timeout"
    status = 408


class BodyTooLarge(RequestError):
    """The body has more bytes than the server accepts."""

    code = "body_too_large"
    status = 413


class UnsupportedMediaType(RequestError):
    """The body is not sent as plain JSON in UTF-8."""

    code = "unsupported_media_type"
    status = 415


class UnknownHost(RequestError):
    """The request is for a host name that is not on the list."""

    code = "unknown_host"
    status = 421


class RateLimited(RequestError):
    """The key has no work left for this minute."""

    code = "rate_limited"
    status = 429


class QuotaExceeded(RequestError):
    """The key has too few characters left for this month."""

    code = "quota_exceeded"
    status = 429


class HeadersTooLarge(RequestError):
    """The address and the headers have more bytes than the server accepts."""

    code = "headers_too_large"
    status = 431


class UnknownRoute(RequestError):
    """No such path."""

    code = "not_found"
    status = 404


class WrongMethod(RequestError):
    """The path exists, but not for this method."""

    code = "method_not_allowed"
    status = 405


class UnknownPair(RequestError):
    """No loaded bundle translates this pair; the detail lists the pairs that exist."""

    code = "unknown_pair"


class AmbiguousPair(RequestError):
    """A language was left out and more than one bundle fits."""

    code = "ambiguous_pair"


class NoReverseModel(RequestError):
    """Both directions were asked for, and no loaded bundle translates the other way."""

    code = "no_reverse_model"


class SentenceTooLong(RequestError):
    """A sentence has more tokens than the model accepts; nothing is cut silently."""

    code = "sentence_too_long"


class TextTooLong(RequestError):
    """The texts of the request together have more characters than the server accepts."""

    code = "text_too_long"


class TooManyTexts(RequestError):
    """The list holds more texts than the server accepts."""

    code = "too_many_texts"


class TooManyTokens(RequestError):
    """The texts of the request together have more tokens than the server accepts."""

    code = "too_many_tokens"


class TooManyHypotheses(RequestError):
    """The request needs more rows of decoder work than the server accepts."""

    code = "too_many_hypotheses"


class AttentionTooLarge(RequestError):
    """The matrices of the answer would have more bytes than the server sends."""

    code = "attention_too_large"


class InvalidBeam(RequestError):
    """`beam_size` or `n_best` is out of range, or `n_best` exceeds `beam_size`."""

    code = "invalid_beam"


class EmptyWord(RequestError):
    """A list of words holds an empty word, so its indices would be ambiguous."""

    code = "empty_word"


class ReloadInProgress(RequestError):
    """Bundles are being reloaded already; nothing was started."""

    code = "reload_in_progress"
    status = 409


class Unavailable(InterlineaError):
    """The server cannot take the request now; a later try, in `retry_after` s, may succeed."""

    code = "unavailable"
    status = 503
    retry_after = 1


class QueueFull(Unavailable):
    """More work is waiting than the server promises to hold, or can do in time."""

    code = "queue_full"


class TooManyConnections(Unavailable):
    """More connections are open than the server accepts."""

    code = "too_many_connections"


class DeadlineExceeded(Unavailable):
    """The request was not done within its `timeout`; its work was dropped."""

    code = "deadline_exceeded"
    status = 504


class AnswerUnread(Unavailable):
    """A stream was read so slowly that too much of it waited; the rest of its work was dropped."""

    code = "answer_unread"


class ShuttingDown(Unavailable):
    """The server is draining and takes nothing new."""

    code = "shutting_down"


class Cancelled(InterlineaError):
    """The client went away, so its work was dropped."""

    code = "cancelled"
    status = 499


class StepFailed(InterlineaError):
    """The model failed on the batch that held this sentence; others are not affected."""

    code = "step_failed"


class KeysError(InterlineaError):
    """The file of the keys cannot be used."""

    code = "keys_error"


class BundleError(InterlineaError):
    """A model folder cannot be served; the message is one line, whatever the folder holds."""

    code = "bundle_error"

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(printable(message)[:MOST_MESSAGE], detail)


class UnsealedBundle(BundleError):
    """The folder has no manifest, so it was never verified."""

    code = "unsealed_bundle"


class DamagedBundle(BundleError):
    """A file of the bundle is missing, or differs from what the manifest says."""

    code = "damaged_bundle"


class DeviceMissing(BundleError):
    """The device that is to run the bundles is not there, or lacks what it needs."""

    code = "device_missing"
