"""A delivery taken step by step, where the clock stands."""

from bot.delivery import Delivery


async def deliver_due(delivery: Delivery, most: int = 1_000_000) -> int:
    """Deliver what may go out now, at most so many cards; how many it were."""
    number = 0
    while number < most and (due := (await delivery._next())[0]):
        await delivery._attempt(due[0])
        number += 1
    return number
