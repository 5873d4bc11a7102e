"""Stand-ins for official images that can't be pulled: images of programs from elsewhere, under the same names.

Used by the scripts of `make compose-test`.
"""

import contextlib
import re
import shutil
import subprocess

# Seconds that a pull may take.
PULL_DEADLINE = 300


class Failure(Exception):
    """A step that failed."""


def docker(*arguments, **options):
    return subprocess.run(["docker", *map(str, arguments)], capture_output=True, text=True, **options)


def images():
    """The names of the engine's images."""
    return set(docker("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()) - {"<none>:<none>"}


def copy_program(program, root, path):
    """Copies a program and the libraries it is linked to into the file system below `root`."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, root / path)
    libraries = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+) \(0x", libraries):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


def provide(image, make, scratch):
    """Makes an image available to the engine, and prints its origin. `make` fills the directory of a stand-in, and
    returns the other lines of its Dockerfile and a description."""
    if image in images():
        print(f"  {image}: already in the engine")
        return
    with contextlib.suppress(subprocess.TimeoutExpired):
        if docker("pull", "--quiet", image, timeout=PULL_DEADLINE).returncode == 0:
            print(f"  {image}: pulled")
            return
    context = scratch / "stand-ins" / re.sub(r"\W", "-", image)
    root = context / "root"
    root.mkdir(parents=True)
    instructions, what = make(image, root)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY root /\n" + instructions)
    built = docker("build", "--quiet", f"--tag={image}", context)
    if built.returncode != 0:
        raise Failure(f"no stand-in for {image}:\n{built.stderr}")
    print(f"  {image}: can't be pulled; replaced by {what}")
