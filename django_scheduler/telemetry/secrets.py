"""Secrets are found by the names they stand under, and masked in any text that people read: errors, logs, values.

A text has no structure that could be relied upon, so this errs on the side of hiding. It takes a time that grows with
the length of the text, whatever stands in it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from urllib.parse import unquote

BULLETS = "••••••••"

#: Nothing shorter than this, in characters, is known to be a secret by itself, where no name stands before it.
SHORTEST_KEY = 16

#: Is looked for in a name that ``_words`` has made of it: ``_x_api_key_`` of ``X-Api-Key`` and of ``xApiKey``.
_SECRET_NAME = re.compile(
    r"pass_?(word|wd|wort|phrase|code|key)|kennwort|contrase[nñ]a|mot_?de_?passe|wachtwoord|_senha_|пароль|密码"
    r"|secret|token|credential|_creds?_|cookie|signature|authori[sz]ation|bearer|mnemonic|(seed|recovery)_phrase"
    r"|_pass\d*_$|_(pw|pwd|psw|pswd|passwrd|pin|cvc|cvv|csc|otp|totp|hotp|mfa|2fa|jwt|dsn|sig|ssn|pem|salt)\d*s?_"
    r"|_o?auth\d*_(?!user|group|type|method|provider|backend|url|time)|_(csrf|xsrf|sid|session_?(id|key)|[a-z]+sessid)_"
    r"|card_?(number|num|nr|no)_|credit_?card|_cc_?(number|num|nr|no?)_|_pan_|connection_?string"
    r"|(api|app|access|private|encryption|signing|master|shared|consumer|license|ssh|service|account)_?keys?\d*_"
    r"|(security|verification|recovery|backup|one_?time|activation|access|sms|pin)_?codes?_"
)

#: Names what has happened to a secret, and does not stand before one.
_EXCEPTION_NAME = re.compile(r"(?:.*\.)?(?:Invalid|Missing|Unknown)\w+|.*(?:Error|Exception|Warning|Failed|Failure|"
                             r"Expired|Denied|Invalid|Missing|NotFound|DoesNotExist|Exists|Required)")  # fmt: skip

_NEW_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


def is_secret(name: str) -> bool:
    """Return whether what stands under a name, as that of a key or a header, is a secret."""
    return _is_secret(name) if len(name) <= 100 else bool(_SECRET_NAME.search(_words(name)))


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(_words(name)))


def _words(name: str) -> str:
    if not name.isascii():  # letters of other widths, and characters without a width
        name = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    words = _BETWEEN_WORDS.sub("_", _NEW_WORD.sub("_", name)).casefold()
    return f"_{words.strip('_')}_"


def mask_text(text: str) -> str:
    """Mask what looks like a secret in a text: what stands behind a telling name, credentials in URLs, and tokens."""
    if len(text) < SHORTEST_KEY and text.isalnum():
        return text
    if 'File "' not in text:
        return _mask(text, _end_of_value)
    return "".join(
        _mask(part, _end_of_literal if is_source else _end_of_value) for part, is_source in _parts_of_traceback(text)
    )


#: A line of a traceback that says where something was, and the line of source that follows it.
_FRAME = re.compile(r'^[ |]*File "[^"\n]+", line \d+[^\n]*(?:\n(?![ |]*File ")[ |]+[^\n]*)?', re.MULTILINE)


def _parts_of_traceback(text: str) -> Iterator[tuple[str, bool]]:
    """Yield what is source, in which a name is followed by what computes a value, and what is not."""
    end = 0
    for frame in _FRAME.finditer(text):
        yield text[end : frame.start()], False
        yield frame[0], True
        end = frame.end()
    yield text[end:], False


_QUOTE = r"\\{0,8}[\"'`]"

#: A name, and what comes between it and its value.
_ASSIGNMENT = re.compile(
    rf"""(?<![\w.%-])(?P<name>[\w.%-]{{2,64}}+)(?:
        (?P<gap>(?:{_QUOTE})?[\])]?\s{{0,4}}(?:=>|:=|[:=])\s{{0,4}})
        |(?P<named>(?:{_QUOTE})\s{{0,4}},\s{{0,4}}(?:{_QUOTE})?(?:value|val|content)(?:{_QUOTE})?\s{{0,4}}[:=]\s{{0,4}})
        |(?P<pair>(?:{_QUOTE})\s{{0,4}},\s{{0,4}}(?=b?{_QUOTE}))
        |\s{{1,4}}(?:is\s|was\s)?(?=b?{_QUOTE})
    )""",
    re.VERBOSE | re.IGNORECASE,
)

#: How a pair begins, up to its name.
_BEGIN_OF_PAIR = re.compile(rf"[(\[]\s{{0,4}}b?(?:{_QUOTE})$")

#: The words before a name, if that is one of several, as in ``card number``.
_WORDS_BEFORE = re.compile(r"(?:\w{1,20}[ ]){1,2}$")
_SECRET_WORDS = re.compile(
    r"(?:card|api|access|private|security|verification|time)[ ](?:number|key|code)", re.IGNORECASE
)

_OPENING_QUOTE = re.compile(rf"[a-zA-Z]{{0,2}}({_QUOTE})")
_OPENING_BRACKET = re.compile(r"[\w.]{0,64}([(\[{<])")
_BRACKET = re.compile(r"[()\[\]{}]")
_SCHEME = re.compile(r"(?:bearer|basic|digest|token|negotiate|apikey)\s+", re.IGNORECASE)
_REST_OF_LINE = re.compile(r"(?:(?!\\[rn])[^\r\n])*")
_WORD = re.compile(r"[^\s&;,\"'<>)\]}|\\]*")

#: Whatever else is told to be a secret by how it looks: the group ``secret`` is masked, if the group ``name`` is the
#: name of one or there is no such group. One of the hints is in every text, in lower case, that has such a secret.
_PATTERNS = [
    # Credentials in a URL, which may be quoted itself. What they are made of ends where another URL would begin.
    (("://",), r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,30}+://(?=[^\s/?#@:]{0,200}:|[^\s/?#@]{16})"
     r"(?P<secret>[^\s/?#]{1,8000})(?=@|%40)"),
    (("%2f",), r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,30}+%3a%2f%2f(?=(?:(?!%2f)[^\s/?#@:]){0,200}?%3a|[^\s/?#@:]{16})"
     r"(?P<secret>(?:(?!%2f)[^\s/?#]){1,8000})(?=@|%40)"),
    (("bearer", "negotiate"), r"\b(?:bearer|negotiate)\s+(?P<secret>[\w.~+/=-]{4,4000})"),
    (("basic",), r"\bbasic\s+(?P<secret>[a-z0-9+/]{8,4000}={0,2})(?![\w ])"),
    (("eyj",), r"(?<![\w-])(?P<secret>eyJ[\w-]{8,4000}\.[\w-]{2,8000}(?:\.[\w-]{0,4000})?)"),
    (("-u ",), r"(?<!\S)-u [^\s:]{1,200}:(?P<secret>\S{1,4000})"),
    # Keys of services by which these are known.
    (("_live_", "_test_", "gh", "glpat", "xox", "akia", "aiza", "sk-"),
     r"(?<![\w-])(?P<secret>[sr]k_(?:live|test)_\w{8,200}|gh[a-z]_\w{16,200}|github_pat_\w{16,200}|glpat-[\w-]{16,200}"
     r"|xox[a-z]-[\w-]{10,200}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,200}|sk-[\w-]{20,200})"),
    (("private key",), r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?P<secret>[^-]{1,20000})"),
    (("</",), r"<(?:\w{1,40}:)?(?P<name>[\w.-]{2,64})(?:\s[^<>]{0,200})?>(?P<secret>[^<>]{1,4000})(?=</)"),
    (("--",), r"(?<![\w-])--(?P<name>[\w-]{2,64}) {1,4}(?P<secret>[^\s-]\S{0,4000})"),
    (("form-data",), r"\bname=\"(?P<name>[\w.\[\]-]{2,64})\"(?:\r?\n[\w-]{1,40}:[^\n]{0,200}){0,3}\r?\n\r?\n"
     r"(?P<secret>[^\r\n]{1,4000})"),
    # How databases show what a constraint refuses.
    (("failing row",), r"Failing row contains (?P<secret>\([^\n]*)"),
    ((")=(",), r"\((?P<name>[\w\", ]{2,200})\)=\((?P<secret>[^()\n]{1,1000})\)"),
    (("duplicate entry",), r"Duplicate entry '(?P<secret>[^'\n]{1,300})' for key '(?P<name>[^'\n]{1,200})'"),
]  # fmt: skip
_COMPILED_PATTERNS = [(hints, re.compile(pattern, re.IGNORECASE)) for hints, pattern in _PATTERNS]

#: One of these is part of every name of a secret that ``is_secret`` knows, in lower case.
_PARTS_OF_NAMES = (
    "pass", "kennwort", "contrasena", "mot", "wachtwoord", "senha", "cred", "secret", "token", "cookie", "signature",
    "bearer", "pw", "psw", "pin", "cvc", "cvv", "csc", "otp", "mfa", "2fa", "jwt", "dsn", "sig", "ssn", "pem", "salt",
    "auth", "csrf", "xsrf", "sid", "sess", "card", "cc", "pan", "mnemonic", "phrase", "key", "code", "connection",
)  # fmt: skip


def _mask(text: str, end_of_value: Callable[[str, re.Match[str]], tuple[int, int]]) -> str:
    lower = text.lower()
    for hints, pattern in _COMPILED_PATTERNS:
        if any(hint in lower for hint in hints):
            text = pattern.sub(_mask_group, text)
    if text.isascii() and "%" not in text and not any(part in lower for part in _PARTS_OF_NAMES):
        return text
    pieces, done = [], 0
    for match in _ASSIGNMENT.finditer(text):
        if match.start() < done or not _is_before_a_secret(text, match):
            continue
        start, end = end_of_value(text, match)
        if start < end:
            pieces += [text[done:start], BULLETS]
            done = end
    return "".join([*pieces, text[done:]]) if pieces else text


def _mask_group(match: re.Match[str]) -> str:
    if "name" in match.re.groupindex and not is_secret(match["name"]):
        return match[0]
    start, end = (position - match.start() for position in match.span("secret"))
    return f"{match[0][:start]}{BULLETS}{match[0][end:]}"


def _is_before_a_secret(text: str, match: re.Match[str]) -> bool:
    name, start = match["name"], match.start()
    if match["pair"] and not _BEGIN_OF_PAIR.search(text[max(0, start - 14) : start]):
        return False
    name = unquote(name) if "%" in name else name
    if is_secret(name):
        return not _EXCEPTION_NAME.fullmatch(name)
    before = _WORDS_BEFORE.search(text[max(0, start - 42) : start]) if name.lower() in _LAST_WORDS else None
    return bool(before and _SECRET_WORDS.search(before[0] + name))


_LAST_WORDS = {"number", "key", "code"}


def _end_of_value(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Return where the value behind a name begins and ends."""
    start = match.end()
    if quote := _OPENING_QUOTE.match(text, start):
        return quote.end(), _closing_quote(text, quote.end(), quote[1])
    if bracket := _OPENING_BRACKET.match(text, start):
        return start, _closing_bracket(text, bracket.start(1))
    if scheme := _SCHEME.match(text, start):
        return start, _end(_WORD, text, scheme.end())
    if (match["gap"] or "").strip() == ":":  # as a header has it
        return start, _end(_REST_OF_LINE, text, start)
    return start, _end(_WORD, text, start)


def _end_of_literal(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Return where the value behind a name begins and ends in source: what is computed is no secret."""
    start = match.end()
    if quote := _OPENING_QUOTE.match(text, start):
        return quote.end(), _closing_quote(text, quote.end(), quote[1])
    return start, _end(_WORD, text, start) if text[start : start + 1].isdigit() else start


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _closing_quote(text: str, start: int, quote: str) -> int:
    end = text.find(quote, start)
    while end > start and text[end - 1] == "\\":
        end = text.find(quote, end + 1)
    return len(text) if end < 0 else end


def _closing_bracket(text: str, start: int) -> int:
    if text[start] == "<":
        end = text.find(">", start)
        return len(text) if end < 0 else end + 1
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "([{" else -1
        if depth == 0:
            return bracket.end()
    return len(text)
