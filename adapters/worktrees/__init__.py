"""Repositories and worktrees under the home, by the git program alone."""
