"""`python -m tests.stories.full_disk FOLDER`: a service whose disk fills up, and then has room.

In a mount namespace of its own, so that the disk is gone with it.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.stories.service import House, wait_until
from tests.stories.test_service_journey import Person

_NO_MOUNT = 77


def _fill(path: Path) -> None:
    for size in (65_536, 512):
        with path.open("ab", 0) as file:
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass


def main(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=60m,mode=700", "none", str(home)], check=False
    )
    if mounted.returncode:
        sys.exit(_NO_MOUNT)
    house, filler = House(home), home / "filler"
    with house.running() as service:
        person = Person(service)
        service.admin.say("/autocoder new todo-api")
        wait_until(lambda: person.look() == "running", 300)
        passing = service.admin.get("/api/projects/todo-api").json["tasks"]["passing"]
        _fill(filler)
        assert service.process.wait(120) == 1, service.out.read_text()
        said = service.out.read_text()
        assert "full" in said, said
        assert "Free some space" in said, said
        assert "Traceback" not in said, said
    filler.unlink()
    with house.running() as service:
        person = Person(service)
        tasks = service.admin.get("/api/projects/todo-api").json["tasks"]
        assert tasks["passing"] >= passing, "what was proved is proved"
        wait_until(lambda: person.look() == "completed", 400)
        service.stop()
        assert "Traceback" not in service.out.read_text()


if __name__ == "__main__":
    begun = time.monotonic()
    main(Path(sys.argv[1]))
    print(os.getpid(), round(time.monotonic() - begun))
