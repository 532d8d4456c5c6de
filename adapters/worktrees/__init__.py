"""Repositories and worktrees under the home, by the git program alone (DESIGN.md §6)."""

from adapters.worktrees.git import WANTED_GIT, git_version
from adapters.worktrees.workspaces import Worktrees

__all__ = ["WANTED_GIT", "Worktrees", "git_version"]
