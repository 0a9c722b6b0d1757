"""Validates EVE alert records, one JSON object a line, against eve_alert.schema.json.

Usage: validate_eve.py FILE
"""

import json
import pathlib
import sys

import jsonschema

schema = json.loads(pathlib.Path(__file__).with_name("eve_alert.schema.json").read_text(encoding="utf-8"))
validator = jsonschema.Draft202012Validator(schema)
records = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
problems = [
    f"record {number}: {'/'.join(map(str, error.path))}: {error.message}"
    for number, record in enumerate(records, 1)
    for error in validator.iter_errors(record)
]
if problems:
    sys.exit("\n".join(problems))
print(f"{len(records)} records are valid")
