"""Opens JupyterLab on the first lesson. Further arguments go to JupyterLab."""

import os
import pathlib
import sys

NOTEBOOKS = pathlib.Path(__file__).resolve().parents[1] / "notebooks"


def main() -> None:
    lessons = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if not lessons:
        raise SystemExit(f"No lesson in {NOTEBOOKS}: clone the repository again.")
    # Only the notebooks are served: JupyterLab walks its folder, and one with an environment in it makes it slow.
    options = [f"--ServerApp.root_dir={NOTEBOOKS}", f"--LabApp.default_url=/lab/tree/{lessons[0].name}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")  # in a container there is often no other user
    # This environment's kernel, whatever kernels lie in the user's folder.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    # A training step's temporaries are one piece of memory, which Linux maps anew at every step: in large pages that
    # takes a tenth of a step less. Other systems do not read this.
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *options, *sys.argv[1:]])


if __name__ == "__main__":
    main()
