"""`python -m bot …` is `autocoder …`."""

from bot.cli import main

main()
