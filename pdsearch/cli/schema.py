"""`pdsearch schema`: how can an editor check and complete space files?"""

import json

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of space files, for editors and other programs."""
    from pdsearch.space import json_schema  # loads the registries, and torch with them

    print(json.dumps(json_schema(), indent=2))
