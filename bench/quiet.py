"""How much of the processors others had, on a machine that is shared, and runs while that was little.

A hypervisor that gives a processor to somebody else says so (`steal` in /proc/stat). What is
measured meanwhile says little about the service, so it is measured again, and the least disturbed
run counts. Which run that is does not depend on what it measured.
"""

from statistics import median

# Of the processors' time; with less a run counts at once.
FAIR_SHARE = 0.02
TRIES = 6

shares = []


def quietly(run):
    """What `run` gives, from the first run that was hardly disturbed, else the least disturbed."""
    tried = []
    for _ in range(TRIES):
        stolen, total = ticks()
        value = run()
        stolen, total = (now - before for now, before in zip(ticks(), (stolen, total)))
        tried.append((stolen / max(total, 1), len(tried), value))
        if tried[-1][0] <= FAIR_SHARE:
            break
    share, _, value = min(tried)
    shares.append(share)
    return value


def summary():
    """How much of the processors' time others had in the runs that count."""
    if not shares:
        return "Nothing was measured for which it matters what others do."
    most = max(shares)
    usual = f"Others had {median(shares):.1%} of the processors' time"
    return f"{usual}, and {most:.1%} in the worst of {len(shares)} runs."


def ticks():
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return fields[7], sum(fields)
