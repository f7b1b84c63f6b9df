"""A private JupyterLab on a folder of notebooks, and the few moves in its page that tests and screenshots need."""

import contextlib
import dataclasses
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = (
    "--no-sandbox",  # root in a container has no sandbox to offer
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ERROR_OUTPUT = ".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']"


@dataclasses.dataclass(frozen=True)
class LabServer:
    """A running JupyterLab: its address, which ends in `/`, and its token."""

    url: str
    token: str


def find_chromium() -> str:
    """The Chromium to drive: `$CHROMIUM`, else the first of the usual names on PATH.

    Raises:
      FileNotFoundError: there is none; the message has the line that installs it.
    """
    named = os.environ.get("CHROMIUM")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found:
        return found
    raise FileNotFoundError(
        f"No Chromium: looked for {named or ', '.join(CHROMIUM_NAMES)} on PATH. The browser tests need one. "
        "Debian or Ubuntu: apt-get install --no-install-recommends chromium. Elsewhere: point CHROMIUM at a Chrome."
    )


def copy_notebooks(notebooks: Iterable[pathlib.Path], folder: pathlib.Path) -> None:
    """Copy notebooks into a folder with nothing else in it: nothing is saved back, and JupyterLab starts faster."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in notebooks:
        shutil.copy(path, folder)


def write_settings(home: pathlib.Path, dark: bool) -> None:
    """Settings of the page: no pop-ups, every cell in the page even when it is out of view, the theme."""
    settings = {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "apputils-extension/themes": {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    for name, value in settings.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))


def _environment(home: pathlib.Path, token: str) -> dict[str, str]:
    return dict(
        os.environ,
        JUPYTER_CONFIG_DIR=str(home / "config"),
        JUPYTER_DATA_DIR=str(home / "data"),
        JUPYTER_RUNTIME_DIR=str(home / "run"),
        JUPYTERLAB_SETTINGS_DIR=str(home / "settings"),
        JUPYTERLAB_WORKSPACES_DIR=str(home / "workspaces"),
        JUPYTER_PREFER_ENV_PATH="1",  # this environment's kernel, whatever lies in the user's folder
        JUPYTER_TOKEN=token,
        IPYTHONDIR=str(home / "ipython"),
        PYDEVD_DISABLE_FILE_VALIDATION="1",
    )


def _await_address(process: subprocess.Popen, home: pathlib.Path, seconds: float) -> str:
    """The server writes its address into a file once it listens."""
    info, end = home / "run" / f"jpserver-{process.pid}.json", time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            return json.loads(info.read_text())["url"]
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start within {seconds} s:\n{(home / 'server.log').read_text()[-3000:]}")


@contextlib.contextmanager
def jupyter_lab(folder: pathlib.Path, home: pathlib.Path, *, dark: bool = False) -> Iterator[LabServer]:
    """Serve `folder` on a free port of this machine; `home` takes every file JupyterLab itself writes."""
    token = secrets.token_hex(16)
    write_settings(home, dark)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
    command += ["--expose-app-in-browser", f"--ServerApp.root_dir={folder}", "--ServerApp.port_retries=0"]
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=_environment(home, token), stdout=log, stderr=log)
        try:
            yield LabServer(_await_address(process, home, seconds=120), token)
        finally:
            process.terminate()  # the server ends its kernels
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def open_notebook(page, server: LabServer, name: str) -> None:
    """Open a notebook in a Playwright page and wait until its kernel is idle."""
    page.goto(f"{server.url}lab/tree/{name}?token={server.token}&reset")
    page.wait_for_function("() => window.jupyterapp && window.jupyterapp.restored.then(() => true)")
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    )


def run_all_cells(page, seconds: float) -> None:
    """Run all cells of the open notebook and wait until the last one has ended."""
    page.evaluate(
        "() => { window.ranAll = false; window.jupyterapp.commands.execute('notebook:run-all-cells')"
        ".finally(() => { window.ranAll = true }) }"
    )
    page.wait_for_function("() => window.ranAll", timeout=seconds * 1000)


def error_texts(page) -> list[str]:
    """The tracebacks shown in the open notebook."""
    return page.locator(ERROR_OUTPUT).all_inner_texts()
