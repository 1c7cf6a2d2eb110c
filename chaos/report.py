"""What was found: breaches with their details, and the figures of a run."""


class Report:
    """Collects; `breach` may be called from any thread."""

    def __init__(self):
        self.breaches = []
        self.heading = ""

    def section(self, heading):
        self.heading = heading
        print(f"\n{heading}", flush=True)

    def figure(self, name, value):
        print(f"  {name:42} {value}", flush=True)

    def breach(self, what):
        self.breaches.append((self.heading, what))
        print(f"  BREACH: {what}", flush=True)

    def check(self, holds, what):
        if not holds:
            self.breach(what)
        return holds

    def end(self):
        """Gives the exit code."""
        print()
        if not self.breaches:
            print("Every promise was kept.")
            return 0
        print(f"{len(self.breaches)} breach(es):")
        for heading, what in self.breaches:
            print(f"- {heading}: {what}")
        return 1
