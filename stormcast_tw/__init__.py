"""stormcast-tw: kilometre-scale generative weather forecasts for Taiwan.

What a forecast cycle *means*: grids, variables, sources, the model, the rollout and its products. Only `flows`,
`tasks` and `deployments` know Prefect: they say when and how it runs.

In Python, `import stormcast_tw as st` gives `st.load`, `st.read_inputs`, `st.products` and `st.latest` (module
`python`). Nothing heavy is imported until one of them is used.
"""

import importlib
from typing import Any

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name in ("load", "read_inputs", "latest", "Model"):
        from stormcast_tw import python

        return getattr(python, name)
    if name == "products":
        return importlib.import_module("stormcast_tw.products")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
