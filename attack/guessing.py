"""Somebody who tries passwords, and somebody who claims to be many."""

from chaos.api import PASSWORD, Api, new_email

from .target import Target

FAILURES = 10

# Sign-ins of one address come more often than failures here, so that each limit is met alone.
WIDE = {"RATE_LIMITS": "on", "RATE_LIMIT_SIGN_IN": "1000/60", "RATE_LIMIT_REGISTER": "100/60"}


def guessing(report):
    report.section("Guessing, with forged addresses and no trusted proxy")
    with Target(RATE_LIMITS="on") as target:
        forged(report, target, trusted=False)
        target.end_well(report)
    report.section("Guessing, by way of a trusted proxy")
    with Target(RATE_LIMITS="on", TRUSTED_PROXIES="127.0.0.1") as target:
        forged(report, target, trusted=True)
        target.end_well(report)
    report.section("An account under attack")
    with Target(TRUSTED_PROXIES="127.0.0.1", **WIDE) as target:
        under_attack(report, target)
        target.end_well(report)


def forged(report, target, trusted):
    """Each guess at another account and from another address, as the header has it."""
    statuses = [guess(target, new_email(), f"203.0.113.{number}").status for number in range(20)]
    report.figure("20 guesses from as many addresses", statuses)
    limited = [] if trusted else [429] * (20 - FAILURES)
    expected = [401] * (20 - len(limited)) + limited
    report.check(statuses == expected, f"guesses were answered {statuses}, not {expected}")
    forms = "for=203.0.113.77", 'For="[2001:db8::7]:4711"'
    others = [guess(target, new_email(), form, "Forwarded").status for form in forms]
    report.figure("and by Forwarded", others)
    one = 401 if trusted else 429
    report.check(others == [one] * 2, f"guesses by Forwarded were answered {others}")
    if trusted:
        left_most(report, target)
        one_customer(report, target)


def left_most(report, target):
    """What stands left of the last hop was written by the client, and makes nobody new."""
    statuses = [
        guess(target, new_email(), f"198.51.100.{number}, 192.0.2.1").status for number in range(12)
    ]
    report.figure("12 guesses with a forged first hop", statuses)
    expected = [401] * FAILURES + [429] * 2
    report.check(statuses == expected, f"forged first hops were answered {statuses}")


def one_customer(report, target):
    """Each guess from another /64 of one /56, as one customer can have it: four budgets."""
    addresses = [f"2001:db8:0:{number:x}::1" for number in range(60)]
    statuses = [guess(target, new_email(), address).status for address in addresses]
    limited = statuses.count(429)
    report.figure("60 guesses from as many /64 of one /56, limited", limited)
    expected = [401] * 4 * FAILURES + [429] * 20
    report.check(statuses == expected, f"guesses from one /56 were answered {statuses}")


def under_attack(report, target):
    """From many addresses; the one from where its user has signed in before stays open."""
    email, home = new_email(), "192.0.2.10"
    registered = ask(target, "register", email, PASSWORD, home)
    first = ask(target, "login", email, PASSWORD, home)
    report.check((registered.status, first.status) == (201, 200), "its user could not sign in")
    for guessed in email, new_email():
        statuses = [guess(target, guessed, f"203.0.113.{n}").status for n in range(FAILURES + 2)]
        what = "an account" if guessed == email else "no account"
        report.figure(f"{FAILURES + 2} guesses at {what}", statuses)
        expected = [401] * FAILURES + [429] * 2
        report.check(statuses == expected, f"guesses at {what} were answered {statuses}")
    right = ask(target, "login", email, PASSWORD, "198.51.100.1")
    wait = right.headers.get("retry-after")
    report.figure("the right password from elsewhere", f"{right.status}, {wait} s")
    report.check(right.status == 429, f"the right password from elsewhere got {right}")
    known = [ask(target, "login", email, PASSWORD, home).status for _ in range(3)]
    report.figure("the right password from home", known)
    report.check(known == [200] * 3, f"the right password from home got {known}")


def guess(target, email, address, header="X-Forwarded-For"):
    return ask(target, "login", email, "a wrong password", address, header)


def ask(target, what, email, password, address, header="X-Forwarded-For"):
    api = Api(target.port)
    try:
        body = {"email": email, "password": password}
        return api.ask("POST", f"/api/auth/{what}", body, headers={header: address})
    finally:
        api.close()
