"""stormcast-tw: kilometre-scale generative weather forecasts for Taiwan.

What a forecast cycle *means*: grids, variables, sources, the model, the rollout and its products.
Nothing here knows Prefect; `flows` and `tasks` say when and how it runs.
"""

__version__ = "0.1.0"
