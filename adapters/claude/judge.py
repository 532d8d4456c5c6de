from core.domain.bash_policy import Verdict


class BashJudge:
    def __init__(self, marker: str) -> None: ...

    async def __call__(self, command: str) -> Verdict:
        return Verdict(True)
