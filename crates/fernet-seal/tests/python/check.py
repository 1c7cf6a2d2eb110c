"""Compares fernet-seal with Python's `base64` and `cryptography`: `check.py PROGRAM [SEED]`.

PROGRAM is the example `python_peer`, which describes the lines it reads.
"""

import base64
import json
import random
import string
import subprocess
import sys
import time
from importlib.metadata import version

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TOKENS = 10_000
KEYS = 10_000
DAMAGED = 5_000
DIGITS = string.ascii_letters + string.digits + "-_+/"
PURPOSES = ["oauth-tokens", "totp-secrets", "", "ü"]

peer, seed = sys.argv[1], int((sys.argv[2:] or [time.time_ns()])[0])
rng = random.Random(seed)


def ask(questions):
    """The answers of the Rust side, in the same order."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    run = subprocess.run([peer], input=lines, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    check(len(answers) == len(questions), "one answer for each question")
    return answers


def check(holds, *what):
    if not holds:
        sys.exit(f"Python and fernet-seal differ (seed {seed}): {what}")


def is_ambiguous(text):
    """Whether digits follow a complete padding, which Python's versions read differently."""
    in_group = padding = 0
    for character in text:
        if character == "=":
            padding += 1
        elif character in DIGITS:
            if in_group >= 2 and in_group + padding >= 4:
                return True
            in_group, padding = (in_group + 1) % 4, 0
    return False


def derived(text, purpose):
    """The Fernet key of a master key; None if Python can't read it."""
    try:
        if text.startswith("fernet:"):
            return Fernet(text.removeprefix("fernet:"))
        key = base64.urlsafe_b64decode(text)
    except ValueError:
        return None
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(key)
    return Fernet(base64.urlsafe_b64encode(key))


def odd_key():
    """A text like one that a person may use as a master key, or worse."""
    some = lambda characters, most: "".join(rng.choices(characters, k=rng.randint(0, most)))
    if rng.random() < 0.1:
        prefix = rng.choice(["", "fernet:"])
        encode = rng.choice([base64.b64encode, base64.urlsafe_b64encode])
        return prefix + encode(rng.randbytes(rng.choice([31, 32, 32, 32, 33]))).decode()
    if rng.random() < 0.3:
        return some("Aa9-_+/==== !", 10)
    text = some(DIGITS, 60)
    for _ in range(rng.randint(0, 4)):
        at = rng.randint(0, len(text))
        text = text[:at] + some(" \n\t!.:%~\0\x7f=", 3) + text[at:]
    if rng.random() < 0.05:
        text += rng.choice("é\x80☃")
    return text + "=" * rng.choice([0, 0, 1, 2, 3, 4])


def plain_text():
    characters = rng.choice([string.printable, "aé☃😀\0", string.ascii_uppercase])
    length = rng.choice([0, 1, 15, 16, 17, 20, 32, 40, rng.randint(0, 300)])
    return "".join(rng.choices(characters, k=length))


def around(token):
    space = lambda: "".join(rng.choices(string.whitespace, k=rng.choice([0, 0, 1, 3])))
    return space() + token + space()


def compare_keys():
    """Every key is refused by both, or has the same effect; returns those that both read."""
    keys = [odd_key() for _ in range(KEYS)]
    iv, read, ambiguous = bytes(range(16)), [], 0
    answers = ask([["seal", key, "oauth-tokens", "", 1_700_000_000, iv.hex()] for key in keys])
    for key, answer in zip(keys, answers):
        if is_ambiguous(key) and key.isascii():
            check(answer == "Ambiguous", key, answer)
            ambiguous += 1
            continue
        fernet = derived(key, "oauth-tokens")
        if fernet is None:
            check(answer in ("Incomplete", "NotAscii", "NotAFernetKey"), key, answer)
        else:
            check(answer == [fernet._encrypt_from_parts(b"", 1_700_000_000, iv).decode()], key, answer)
            read.append(key)
    check(len(read) > KEYS / 5 and ambiguous > KEYS / 50, "the keys are varied")
    return read


def compare_tokens(keys):
    """Values of each side are read by the other."""
    values = [(rng.choice(keys), rng.choice(PURPOSES), plain_text()) for _ in range(TOKENS)]
    fernets = [derived(key, purpose) for key, purpose, _ in values]
    theirs = [fernet.encrypt(value[2].encode()).decode() for fernet, value in zip(fernets, values)]
    questions = [["open", *value[:2], around(token)] for value, token in zip(values, theirs)]
    for value, answer in zip(values, ask(questions)):
        check(answer == [value[2]], value, answer)

    questions = [["seal", *value, rng.getrandbits(31), rng.randbytes(16).hex()] for value in values]
    ours = [answer[0] for answer in ask(questions)]
    for fernet, value, token in zip(fernets, values, ours):
        check(fernet.decrypt(around(token)).decode() == value[2], value, token)

    damaged = [damage(token) for token in ours[:DAMAGED]]
    questions = [["open", *value[:2], token] for value, token in zip(values, damaged)]
    for fernet, token, answer in zip(fernets, damaged, ask(questions)):
        check(isinstance(answer, str) or fernet.decrypt(token).decode() == answer[0], token, answer)


def damage(token):
    at = rng.randrange(len(token))
    return token[:at] + rng.choice(["", "=", " ", *DIGITS]) + token[at + rng.choice([0, 1]) :]


keys = compare_keys()
compare_tokens(keys)
print(
    f"fernet-seal agrees with cryptography {version('cryptography')} on Python "
    f"{sys.version.split()[0]}: {KEYS:,} master keys, {TOKENS:,} tokens each way, "
    f"{DAMAGED:,} damaged tokens (seed {seed})."
)
