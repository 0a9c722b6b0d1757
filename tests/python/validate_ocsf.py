"""Validates OCSF Detection Findings, one JSON object a line, against the published schema 1.8.0.

Usage: validate_ocsf.py FILE
"""

import json
import sys

import jsonschema
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

ocsf = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
schema = ocsf.get_class_schema(ocsf.lookup_class_name_from_uid(2004), [])
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
