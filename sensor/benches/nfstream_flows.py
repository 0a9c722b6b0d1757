"""Flows of a capture by nfstream, with its statistics, for `cargo xtask bench replay`: one meter, no payload looked into.

Prints the number of flows. Ends with 3 where nfstream is not installed. It must never write a file.
"""

import sys

if __name__ == "__main__":
    try:
        from nfstream import NFStreamer
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
    streamer = NFStreamer(
        source=sys.argv[1],
        statistical_analysis=True,
        n_dissections=0,
        n_meters=1,
        idle_timeout=60,
        active_timeout=1800,
    )
    print(sum(1 for _ in streamer), "flows")
