"""Reads the same flow file with pandas and DuckDB and prints what they make of it as one JSON object.

Usage: read_flow_files.py FILE.parquet FILE.csv FILE.jsonl
"""

import json
import sys

import duckdb
import pandas

parquet, csv, jsonl = sys.argv[1:4]
SOURCES = {
    "parquet": f"read_parquet('{parquet}')",
    "csv": f"read_csv('{csv}')",
    "jsonl": f"read_json('{jsonl}', format='newline_delimited', sample_size=-1)",
}
TOP_TALKERS = """
    SELECT src, dst, proto, dst_port, sum(bytes)::BIGINT AS bytes, sum(packets)::BIGINT AS packets
    FROM {source} WHERE kind = 'flow'
    GROUP BY ALL ORDER BY bytes DESC, src, dst LIMIT 3
"""


def summary(frame):
    flows = frame[frame["kind"] == "flow"]
    return {
        "rows": len(frame),
        "flows": len(flows),
        "packets": int(frame["packets"].sum()),
        "src_packets": int(frame["src_packets"].sum()),
        "dst_packets": int(frame["dst_packets"].sum()),
        "bytes": int(frame["bytes"].sum()),
        "windows": int(frame["window_start"].nunique()),
        "first_seen": str(pandas.to_datetime(frame["first_seen"], utc=True).min().isoformat()),
        "peers": float(frame["host_peers"].sum()),
    }


pandas_says = {
    "parquet": summary(pandas.read_parquet(parquet)),
    "csv": summary(pandas.read_csv(csv, low_memory=False)),
    "jsonl": summary(pandas.read_json(jsonl, lines=True)),
}
database = duckdb.connect()
database.execute("SET TimeZone = 'UTC'")
duckdb_says = {}
top = {}
for name, source in SOURCES.items():
    duckdb_says[name] = summary(database.execute(f"SELECT * FROM {source}").df())
    rows = database.execute(TOP_TALKERS.format(source=source)).fetchall()
    top[name] = [list(row) for row in rows]
types = {row[0]: row[1] for row in database.execute(f"DESCRIBE SELECT * FROM {SOURCES['parquet']}").fetchall()}
metadata = {
    bytes(key).decode(): bytes(value).decode()
    for key, value in database.execute(f"SELECT key, value FROM parquet_kv_metadata('{parquet}')").fetchall()
}
print(
    json.dumps(
        {
            "pandas": pandas_says,
            "duckdb": duckdb_says,
            "top": top,
            "pandas_types": {name: str(kind) for name, kind in pandas.read_parquet(parquet).dtypes.items()},
            "duckdb_types": types,
            "metadata": metadata,
        }
    )
)
