"""Breaks, attacks and measures a running service."""

import argparse
import signal
import sys
from types import ModuleType

from . import marks, roll_out, rotation, timing
from .attack import command as attack
from .bench import command as bench
from .chaos import command as chaos
from .chaos import soak
from .lab import Lab

TRIALS: dict[str, ModuleType] = {
    "chaos": chaos, "soak": soak, "attack": attack, "bench": bench, "timing": timing,
    "roll-out": roll_out, "rotation": rotation, "marks": marks,
}


class Parser(argparse.ArgumentParser):
    """Its help includes that of every trial."""

    def __init__(self) -> None:
        super().__init__(prog="scripts/try", description=__doc__)
        self.trials: list[argparse.ArgumentParser] = []
        names = self.add_subparsers(
            required=True, metavar="TRIAL", dest="trial", parser_class=argparse.ArgumentParser
        )
        for name, module in TRIALS.items():
            summary, description = str(module.__doc__).split("\n", 1)
            trial = names.add_parser(
                name, help=summary, description=f"{summary}\n{description}",
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            trial.add_argument("--program", metavar="FILE",
                               help="the program to try, instead of a new release build")
            module.add_options(trial)
            self.trials.append(trial)

    def format_help(self) -> str:
        return "\n".join([super().format_help(), *(one.format_help() for one in self.trials)])


def interrupted(number: int, _: object) -> None:
    """Ends by an exception, so that everything that was started is ended, too."""
    raise SystemExit(128 + number)


def main() -> int:
    options = Parser().parse_args()
    for number in signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
        signal.signal(number, interrupted)
    lab = Lab.find(options.program)
    TRIALS[options.trial].run(lab, options)
    return lab.report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
