"""`pdsearch schema`: print the JSON Schema by which editors check and complete space files."""

import json


def schema() -> None:
    """Print the JSON Schema of space files, for editors and other programs."""
    from pdsearch.config import json_schema  # loads the registries, and torch with them

    print(json.dumps(json_schema(), indent=2))
