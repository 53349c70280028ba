"""When requests come: as users do, independent of each other and of the answers."""

import random


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Return arrival times in [0, `seconds`), ascending, at `rate` a second on average.

    The gaps are exponential, so arrivals form a Poisson process; a seed always gives the same.
    """
    if rate <= 0:
        raise ValueError("a rate is above zero")
    draw = random.Random(seed)
    times = []
    now = draw.expovariate(rate)
    while now < seconds:
        times.append(now)
        now += draw.expovariate(rate)
    return times
