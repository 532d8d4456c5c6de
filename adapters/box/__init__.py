"""The sandbox: one profile for agents, checks and setup (DESIGN.md §6)."""

from adapters.box.levels import Detection, detect, unseen_toolchains
from adapters.box.sandbox import Sandbox, open_box

__all__ = ["Detection", "Sandbox", "detect", "open_box", "unseen_toolchains"]
