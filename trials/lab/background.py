"""A coroutine that runs in a thread of its own, beside the trial."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class Background(threading.Thread):
    """Starts at once; `result` waits for the end and raises what the coroutine raised."""

    def __init__(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        super().__init__(daemon=True)
        self.main = main
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            asyncio.run(self.main())
        except Exception as error:
            self.error = error

    def result(self, seconds: float | None = None) -> None:
        self.join(seconds)
        if self.error:
            raise self.error
