"""The composition root: the only file of `bot` that names adapters."""

from adapters.box import detect, unseen_toolchains
from bot.check import Probes


def host_probes() -> Probes:
    return Probes(sandbox=detect, unseen_toolchains=unseen_toolchains)
