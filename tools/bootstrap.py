"""Makes the environments, with nothing but Python's standard library.

    python3 tools/bootstrap.py setup        # .venv from requirements.lock
    python3 tools/bootstrap.py setup --dev  # .venv from requirements-dev.lock, which adds the test tools
    python3 tools/bootstrap.py colab        # .venv-colab: Python 3.13 and the versions that Colab has preinstalled
    python3 tools/bootstrap.py path         # put this checkout on the path of the Python that runs this (conda)

Hash-pinned locks, installed by uv (seconds); where uv is missing, pip brings the pinned uv first. A stamp file
remembers what was installed, so that a second call has nothing to do. Old Pythons can read this file as well: they get
a message, no traceback.
"""

import argparse
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST, NEWEST = (3, 11), (3, 14)
CORE, DEV, COLAB = "requirements.lock", "requirements-dev.lock", "requirements-colab.txt"
BIN, EXE = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
# Settings of another environment must not leak into ours.
CLEAN = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
CLEAN.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_REQUIRE_VIRTUALENV="0")

NO_PYTHON = (
    "Python {wanted} is needed; this is {this} and no other was found on PATH. Install one (Debian, Ubuntu: apt-get "
    "install python3 python3-venv) and say which: make setup PY=python3.12. Or install uv, which brings its own Python."
)
NO_VENV = (
    "{python} can make no virtual environment: its venv or pip is missing. Debian, Ubuntu: apt-get install "
    "python3-venv. Elsewhere: install uv, or use conda with environment.yml. Then run the same command again."
)
NOT_INSTALLED = (
    "Installing {lock} failed; the reason stands above. If it speaks of connections, names or time-outs, or finds no "
    "version at all, the package index cannot be reached: check the network (behind a proxy or mirror: HTTPS_PROXY, "
    "PIP_INDEX_URL, UV_INDEX_URL) and run the same command again. If no space is left: 2 GB are needed."
)


def run(*command, **options):
    """Run a command in the checkout; True if it succeeded."""
    try:
        return subprocess.call(command, cwd=ROOT, env=CLEAN, **options) == 0
    except OSError:
        return False


def answers(*command):
    """True if a command starts and succeeds; pyenv's shims, for one, exist without doing so."""
    return run(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def venv_python(folder):
    """The interpreter inside an environment."""
    return os.path.join(folder, BIN, "python" + EXE)


def find_python(versions, this=sys.version_info, which=shutil.which):
    """An interpreter of one of `versions` (pairs, best first): this one, one on PATH, one of pyenv's; else None."""
    if tuple(this[:2]) in versions:
        return sys.executable
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    for major, minor in versions:
        candidates = [which(f"python{major}.{minor}")]
        candidates += sorted(glob.glob(os.path.join(pyenv, "versions", f"{major}.{minor}.*", "bin", "python")))
        for candidate in candidates:
            if candidate and answers(candidate, "-c", ""):
                return candidate
    return None


def find_uv(folder):
    """uv on PATH or in the environment; None if there is none that starts."""
    for uv in (shutil.which("uv"), os.path.join(folder, BIN, "uv" + EXE)):
        if uv and answers(uv, "--version"):
            return uv
    return None


def make_venv(folder, versions):
    """Make the environment's folder with an interpreter in it, by whatever this machine has."""
    python, uv = find_python(versions), find_uv(folder)
    shutil.rmtree(folder, ignore_errors=True)
    if uv:
        wanted = python or "{}.{}".format(*versions[0])  # a version number lets uv fetch an interpreter
        if run(uv, "venv", "--quiet", "--python", wanted, folder):
            return
    if python is None:
        wanted = " or ".join("{}.{}".format(*version) for version in sorted(versions))
        sys.exit(NO_PYTHON.format(wanted=wanted, this=sys.version.split()[0]))
    if answers(python, "-m", "venv", folder):
        return
    # Debian without python3-venv: the module is there, the pip it would copy is not; another pip can install one.
    shutil.rmtree(folder, ignore_errors=True)
    if answers(python, "-m", "venv", "--without-pip", folder):
        if run(python, "-m", "pip", "--python", venv_python(folder), "install", "--quiet", "pip"):
            return
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(NO_VENV.format(python=python))


def requirement(text, name):
    """The lines of one package in a lock: its pin and its hashes."""
    found = re.search(rf"^{re.escape(name)}==\S+(?: ;[^\\\n]*)?(?: \\\n +--hash=\S+)*", text, re.MULTILINE)
    return found.group(0) + "\n" if found else None


def fetch_uv(folder):
    """Install the pinned uv by pip and return it; None where that failed."""
    with open(os.path.join(ROOT, CORE)) as file:
        pin = requirement(file.read(), "uv")
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "uv.txt")
        with open(path, "w") as file:
            file.write(pin)
        run(venv_python(folder), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", path)
    return find_uv(folder)


def add_to_path(python):
    """Let `import perceiver_lab` find this checkout: nothing is built, nothing is fetched."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folder = subprocess.check_output([python, "-c", ask], env=CLEAN, universal_newlines=True).strip()
    with open(os.path.join(folder, "perceiver_lab_checkout.pth"), "w") as file:
        file.write(ROOT + "\n")


def fingerprint(lock):
    """What identifies a finished installation: the lock's content and the place of the checkout."""
    with open(os.path.join(ROOT, lock), "rb") as file:
        return {"lock": lock, "sha256": hashlib.sha256(file.read()).hexdigest(), "checkout": ROOT}


def read_stamp(folder):
    """What was installed last, or an empty dict."""
    try:
        with open(os.path.join(folder, "installed.json")) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def choose_lock(lock, stamp):
    """The test tools, once there, stay: their lock holds everything that the other one holds."""
    return DEV if lock == CORE and stamp.get("lock") == DEV else lock


def install(folder, lock, versions):
    """Bring an environment to the state that a lock describes."""
    stamp = read_stamp(folder)
    lock = choose_lock(lock, stamp)
    wanted = fingerprint(lock)
    python = venv_python(folder)
    if stamp == wanted and os.path.exists(python):
        return
    print(f"Installing {lock} into {os.path.basename(folder)} ...", flush=True)
    if not answers(python, "-c", f"import sys; sys.exit(sys.version_info[:2] not in {versions})"):
        make_venv(folder, versions)
    if stamp:
        os.remove(os.path.join(folder, "installed.json"))
    uv = find_uv(folder) or fetch_uv(folder)
    path = os.path.join(ROOT, lock)
    if uv is None:
        done = run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", path)
    else:
        done = run(uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", path)
    if not done:
        sys.exit(NOT_INSTALLED.format(lock=lock))
    add_to_path(python)
    with open(os.path.join(folder, "installed.json"), "w") as file:
        json.dump(wanted, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["setup", "colab", "path"])
    parser.add_argument("--dev", action="store_true", help="with the test tools")
    options = parser.parse_args()
    supported = [(3, minor) for minor in range(OLDEST[1], NEWEST[1] + 1)]
    if options.action == "setup":
        install(os.path.join(ROOT, ".venv"), DEV if options.dev else CORE, supported)
    elif options.action == "colab":
        install(os.path.join(ROOT, ".venv-colab"), COLAB, [(3, 13)])
    else:
        add_to_path(sys.executable)


if __name__ == "__main__":
    main()
