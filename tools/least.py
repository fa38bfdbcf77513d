"""Print the least versions that extras of pyproject.toml allow, as pip takes them: python tools/least.py sklearn xgboost"""

import pathlib
import re
import sys

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib

extras = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]["optional-dependencies"]
least = {}
for extra in sys.argv[1:]:
    for requirement in extras[extra]:
        name, version = re.fullmatch(r"([\w.-]+)(?:\[\w+\])?>=([\d.]+)", requirement).groups()
        versions = [version, least.get(name, "0")]
        least[name] = max(versions, key=lambda each: [int(part) for part in each.split(".")])
print(*(f"{name}=={version}" for name, version in least.items()))
