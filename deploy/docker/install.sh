#!/bin/sh
# Install what labelsweep needs, with the tested versions; the Dockerfile calls it in an environment without labelsweep.
#   install.sh cpu|cuda EXTRA,EXTRA
set -eu
variant=$1 extras=$2

constraints=$(python -c 'import sys; print("constraints-3.13.txt" if sys.version_info >= (3, 13) else "constraints.txt")')
# Without it, pip takes the build of torch that brings 3 GB of CUDA libraries.
case $variant in
cpu) export PIP_EXTRA_INDEX_URL="${PIP_EXTRA_INDEX_URL:-} https://download.pytorch.org/whl/cpu" ;;
cuda) ;;
*) echo "VARIANT is cpu or cuda, not '$variant'" >&2; exit 2 ;;
esac

python - "$extras" > requirements.txt <<'END'
import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
chosen = [project["optional-dependencies"][extra] for extra in sys.argv[1].split(",") if extra]
print(*project["dependencies"], *sum(chosen, []), sep="\n")
END
pip install --constraint "$constraints" --requirement requirements.txt
# pyDVL says numpy<2. Its influence package runs with numpy 2 all the same, which Python 3.13 needs; elsewhere it is there already.
pip install --constraint "$constraints" --no-deps pydvl
