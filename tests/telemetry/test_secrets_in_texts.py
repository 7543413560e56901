"""A text says what happened, and no secret; to look for them takes linear time, whatever the text."""

from itertools import product

import pytest

from django_scheduler.telemetry.secrets import BULLETS, is_secret, mask_text

#: What names of secrets are made of, and other words.
WORDS = [
    "pass", "word", "wd", "wort", "phrase", "code", "key", "kennwort", "contrasena", "mot", "de", "passe",
    "wachtwoord", "senha", "secret", "token", "credential", "creds", "cookie", "signature", "authorization",
    "bearer", "mnemonic", "seed", "recovery", "pw", "pwd", "psw", "pswd", "passwrd", "pin", "cvc", "cvv", "csc",
    "otp", "totp", "hotp", "mfa", "2fa", "jwt", "dsn", "sig", "ssn", "pem", "salt", "auth", "oauth", "csrf", "xsrf",
    "sid", "session", "id", "phpsessid", "card", "number", "num", "nr", "no", "credit", "cc", "pan", "connection",
    "string", "api", "app", "access", "private", "encryption", "master", "license", "ssh", "service", "account",
    "security", "backup", "sms", "user",
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2",
        "password = 'hunter2'",
        "password='hun\\'ter2 hunter2', a=1",
        "PASSWORD => hunter2",
        'PASSWORD="hunter2',  # cut off
        "p%61ssword=hunter2&a=1",
        '{"password": "hunter2", "a": 1}',
        r"{\"password\": \"hunter2\"}",
        r'"{\\\"password\\\": \\\"hunter2\\\"}"',
        "{'credentials': {'user': 'hunter2', 'more': ['hunter2', ('hunter2',)]}, 'a': 1}",
        "Login(user='ann', password=SecretStr('hunter2'), a=1)",
        "Login(user='ann', token=<Token hunter2>, a=1)",
        "[('Authorization', 'Bearer hunter2'), ('Accept', 'all')]",
        "[(b'x-api-key', b'hunter2')]",
        "{'name': 'password', 'value': 'hunter2'}",
        "environ['DB_PASSWORD'] = 'hunter2'",
        "authorization: Basic aHVudGVyMjpodW50ZXIy",
        "Cookie: a=b; sessionid=hunter2",
        "sent Bearer hunter2.hunter2",
        "invalid token 'hunter2'",
        "the password was 'hunter2'",
        "card number: hunter2",
        "host=db user=ann password=hunter2 dbname=shop",
        "Server=db;User Id=ann;Password=hunter2;",
        "postgres://ann:hunter2@db/shop",
        "redis://:hunter2@cache:6379/0",
        "amqp://ann:hun@hunter2@mq",
        "HTTPS://ANN:HUNTER2@x".replace("HUNTER2", "hunter2"),
        "https%3A%2F%2Fann%3Ahunter2%40x",
        "postgres://ann%40corp:hunter2@db/shop",
        "postgres://ann:hun%2Fhunter2@db/shop",
        f"https://ann:{'x' * 3_000}hunter2@x.example",
        "https://hunter2hunter2hunter2@git.example/x.git",
        "DETAIL:  Key (api_key)=(hunter2) already exists.",
        "DETAIL:  Key (api_key, id)=(hunter2, 7) already exists.",
        "DETAIL:  Key (id, api_key)=(7, hunter2) already exists.",
        "DETAIL:  Failing row contains (7, ann, hunter2, null).",
        "(1062, \"Duplicate entry 'hunter2' for key 'users.api_key'\")",
        "<wsse:Password Type='x'>hunter2</wsse:Password>",
        "psql --password hunter2 -U ann",
        "curl -u ann:hunter2 https://x.example",
        "paid with sk_live_hunter2hunter2",
        'form-data; name="password"\r\n\r\nhunter2\r\n--x',
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    login(password="hunter2")\nE: pw=hunter2',
    ],
)
def test_secrets_are_masked(text):
    shown = mask_text(text)
    assert "hunter2" not in shown
    assert "aHVudGVy" not in shown
    assert BULLETS in shown


def test_a_name_of_a_secret_among_values_is_one_in_a_text_too():
    for name in [*WORDS, *map("_".join, product(WORDS, repeat=2))]:
        assert ("hunter2" not in mask_text(f"{name}=hunter2")) is is_secret(name), name


@pytest.mark.parametrize(
    "text",
    [
        "ordinary text: with a=1, b = 'two', {'c': 3} at 12:30:15",
        "http://localhost:8000/path?x=ann@shop.example and https://ann@shop.example and git@github.com:x/y",
        "InvalidToken: order 7 was not found",
        "jwt.exceptions.ExpiredSignatureError: Signature has expired",
        "KeyError: 'token'",
        "TypeError: log_in() missing 1 required positional argument: 'password'",
        'File "a.py", line 3, in log_in\n    token = get_token(request)\n            ^^^^^^^^^\nValueError: no',
        "tests:reset_password 7: failed (error), took 0.1 s",
        "The password is too short.",
    ],
)
def test_what_happened_can_be_read(text):
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "unit",
    ["a", " ", "\\", "'", "(", "password=", "password:", "password='\\", "password=(", "a://", "a://b:", "http://a:",
     "a',", "Failing row contains (", "Duplicate entry '", "(ab)=(", "-----BEGIN PRIVATE KEY-----", "bearer ",
     "basic a", "--a ", "eyJ", "eyJaaaaaaaa.", "<a></", "<a ", 'form-data; name="password"\n', '  File "x", line 1\n',
     "pass word ", "%61", "ab://" + ":" * 2_000 + " ", "ab://" + "a:" * 100 + "b" * 1_900 + " ", "ab%3a%2f%2f,",
     "ab%3a%2f%2f" + "%3a" * 600 + " "],
)  # fmt: skip
def test_it_takes_linear_time(unit):
    mask_text(unit * (200_000 // len(unit)))  # a quadratic time would be longer than a test may take
