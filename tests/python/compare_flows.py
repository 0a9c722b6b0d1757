"""Compares a flow file with what tshark or nfstream make of the same capture; prints one JSON object.

Usage: compare_flows.py tshark|nfstream CAPTURE FLOWS.parquet

Flow rows are added up over windows to conversations: TCP or UDP, both addresses, both ports. For each figure the
object has how many conversations were compared, the largest deviation, and how many are over the tolerance.

Tolerances, and why they are not zero:
- counts, lengths, flags, first and last time against tshark: none;
- means and deviations of lengths: rounding of floating point numbers;
- durations and inter-arrival times against nfstream: it cuts times to whole milliseconds, so that a single gap may be
  off by 1 ms, and so may the standard deviation; ours counts gaps in ticks of 1.024 us.
nfstream's standard deviations divide by n - 1, ours by n: they are brought to n first.
"""

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy
import pandas

TCP, UDP = 6, 17
FLAGS = "fin syn rst psh ack urg ece cwr".split()
MS = 1.0
TICK_MS = 1.024e-3
ROUNDING = 1e-6


def conversation(proto, src, src_port, dst, dst_port):
    """A name that both directions share, and whether src is its first end."""
    one, other = (src, int(src_port)), (dst, int(dst_port))
    first = one <= other
    return (int(proto), *(one + other if first else other + one)), first


def named(frame, columns):
    pairs = [conversation(*row) for row in frame[columns].itertuples(index=False)]
    frame = frame.copy()
    frame["conversation"] = [pair[0] for pair in pairs]
    frame["first_end"] = [pair[1] for pair in pairs]
    return frame


def integers(column):
    return column.fillna(0).astype("int64")


def ours(path):
    """Conversations of a flow file; `a` is what the first end sent, `b` the second."""
    rows = pandas.read_parquet(path)
    rows = rows[(rows["kind"] == "flow") & rows["proto"].isin([TCP, UDP]) & rows["tunnel"].isna()]
    # Fragments but the first have no ports: they are a conversation of their own, which other tools lack.
    rows = rows[(rows["src_port"] != 0) | (rows["dst_port"] != 0)]
    rows = named(rows, ["proto", "src", "src_port", "dst", "dst_port"])
    rows["first_ns"] = rows["window_start_ns"] + integers(rows["first_offset_ns"])
    rows["last_ns"] = rows["first_ns"] + integers(rows["duration_ns"])
    sums = ["packets", "bytes", "len_sumsq", *FLAGS]
    for name in [*sums, "len_min", "len_max"]:
        src, dst = rows["src_" + name], rows["dst_" + name]
        rows["a_" + name] = numpy.where(rows["first_end"], src, dst)
        rows["b_" + name] = numpy.where(rows["first_end"], dst, src)
    grouped = rows.groupby("conversation", sort=False)
    table = {}
    for end in "ab":
        for name in sums:
            table[f"{end}_{name}"] = integers(grouped[f"{end}_{name}"].sum())
        table[f"{end}_len_min"] = grouped[f"{end}_len_min"].min()
        table[f"{end}_len_max"] = grouped[f"{end}_len_max"].max()
    table["first_ns"] = grouped["first_ns"].min()
    table["last_ns"] = grouped["last_ns"].max()
    table["opener"] = grouped["src"].first()
    for name in ["iat_count", "iat_sum_ns", "iat_sumsq_ticks"]:
        table[name] = integers(grouped[name].sum())
    table["iat_min_ns"] = grouped["iat_min_ns"].min()
    table["iat_max_ns"] = grouped["iat_max_ns"].max()
    return pandas.DataFrame(table)


class Report:
    """Deviations by name."""

    def __init__(self):
        self.figures = {}

    def compare(self, name, left, right, tolerance=0.0):
        left, right = numpy.asarray(left, dtype=float), numpy.asarray(right, dtype=float)
        deviation = numpy.abs(left - right)
        # Absent on one side only is a deviation of its own kind.
        deviation[numpy.isnan(left) & numpy.isnan(right)] = 0.0
        over = ~(deviation <= tolerance)
        self.figures[name] = {
            "compared": len(deviation),
            "worst": float(numpy.nanmax(deviation, initial=0.0)),
            "over": int(over.sum()),
        }


def theirs_tshark(capture):
    fields = (
        "frame.time_epoch frame.len ip.src ip.dst ipv6.src ipv6.dst ip.proto "
        "tcp.srcport tcp.dstport udp.srcport udp.dstport tcp.flags tcp.stream udp.stream"
    ).split()
    command = ["tshark", "-n", "-r", capture, "-o", "ip.defragment:FALSE", "-T", "fields"]
    command += ["-E", "occurrence=f", "-E", "separator=,"]
    for field in fields:
        command += ["-e", field]
    output = subprocess.run(command, capture_output=True, check=True).stdout
    packets = pandas.read_csv(io.BytesIO(output), names=fields, dtype=str)
    packets = packets[packets["tcp.srcport"].notna() | packets["udp.srcport"].notna()]
    # An ICMP error quotes the packet it is about; that is not a packet of its conversation.
    packets = packets[packets["ip.proto"].isna() | packets["ip.proto"].isin([str(TCP), str(UDP)])]
    packets["src"] = packets["ip.src"].fillna(packets["ipv6.src"])
    packets["dst"] = packets["ip.dst"].fillna(packets["ipv6.dst"])
    packets["proto"] = numpy.where(packets["tcp.srcport"].notna(), TCP, UDP)
    packets["src_port"] = packets["tcp.srcport"].fillna(packets["udp.srcport"])
    packets["dst_port"] = packets["tcp.dstport"].fillna(packets["udp.dstport"])
    packets["length"] = packets["frame.len"].astype("int64")
    packets["time_ns"] = [nanoseconds(text) for text in packets["frame.time_epoch"]]
    flags = [int(text, 16) if isinstance(text, str) else 0 for text in packets["tcp.flags"]]
    packets["is_syn"] = [value & 0x12 == 0x02 for value in flags]
    packets = named(packets, ["proto", "src", "src_port", "dst", "dst_port"])
    grouped = packets.groupby("conversation", sort=False)
    table = {
        "first_ns": grouped["time_ns"].min(),
        "last_ns": grouped["time_ns"].max(),
        "opener": grouped["src"].first(),
        "begins_with_syn": grouped["is_syn"].first(),
        "streams": grouped["tcp.stream"].nunique(),
    }
    for end, sent in [("a", packets[packets["first_end"]]), ("b", packets[~packets["first_end"]])]:
        table[f"{end}_packets"] = sent.groupby("conversation")["length"].size()
        table[f"{end}_bytes"] = sent.groupby("conversation")["length"].sum()
    table = pandas.DataFrame(table)
    for end in "ab":
        for name in ["packets", "bytes"]:
            table[f"{end}_{name}"] = integers(table[f"{end}_{name}"])
    return table


def nanoseconds(text):
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int((fraction + "0" * 9)[:9])


def compare_tshark(mine, capture, report):
    theirs = theirs_tshark(capture)
    both = theirs.join(mine, how="inner", lsuffix="_theirs")
    for end in "ab":
        for name in ["packets", "bytes"]:
            report.compare(f"{end}_{name}", both[f"{end}_{name}_theirs"], both[f"{end}_{name}"])
    for name in ["first_ns", "last_ns"]:
        # Differences of integers: 64-bit floating point numbers do not hold nanoseconds since 1970.
        report.compare(name, both[name + "_theirs"] - both[name], numpy.zeros(len(both)))
    # A TCP conversation whose beginning is not in the capture has no opener; everybody guesses in his own way.
    is_udp = numpy.array([key[0] == UDP for key in both.index], dtype=bool)
    known = both[both["begins_with_syn"].to_numpy(dtype=bool) | is_udp]
    report.compare("opener", known["opener_theirs"] != known["opener"], numpy.zeros(len(known)))
    return theirs


def decompressed(capture):
    """A copy that libpcap can read, or None if it can read the capture."""
    with open(capture, "rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return None
    with gzip.open(capture) as source, tempfile.NamedTemporaryFile(suffix=".pcap", delete=False) as copy:
        shutil.copyfileobj(source, copy)
    return copy.name


def theirs_nfstream(capture):
    from nfstream import NFStreamer

    plain = decompressed(capture)
    streamer = NFStreamer(
        source=plain or capture,
        statistical_analysis=True,
        accounting_mode=0,
        n_dissections=0,
        n_meters=1,
        idle_timeout=10**7,
        active_timeout=10**7,
    )
    flows = streamer.to_pandas()
    if plain:
        os.unlink(plain)
    flows = flows[flows["protocol"].isin([TCP, UDP])]
    flows = named(flows, ["protocol", "src_ip", "src_port", "dst_ip", "dst_port"])
    # The same ends in two VLANs are two flows there; one conversation here.
    flows = flows[~flows["conversation"].duplicated(keep=False)]
    return flows.set_index("conversation")


def compare_nfstream(mine, capture, report):
    theirs = theirs_nfstream(capture)
    both = theirs.join(mine, how="inner")
    first = both["first_end"].to_numpy(dtype=bool)
    for way in ["src2dst", "dst2src"]:
        a_is_meant = first == (way == "src2dst")

        def mine_of(name):
            return numpy.where(a_is_meant, both["a_" + name], both["b_" + name])

        count, sent = mine_of("packets"), mine_of("bytes")
        report.compare(f"{way}_packets", both[f"{way}_packets"], count)
        report.compare(f"{way}_bytes", both[f"{way}_bytes"], sent)
        for flag in FLAGS:
            report.compare(f"{way}_{flag}", both[f"{way}_{flag}_packets"], mine_of(flag))
        some = count > 0
        divisor = numpy.maximum(count, 1)
        mean = sent / divisor
        deviation = numpy.sqrt(numpy.maximum(mine_of("len_sumsq") / divisor - mean * mean, 0.0))
        unbiased = numpy.sqrt((divisor - 1) / divisor)
        report.compare(f"{way}_len_mean", both[f"{way}_mean_ps"][some], mean[some], ROUNDING)
        report.compare(f"{way}_len_std", (both[f"{way}_stddev_ps"] * unbiased)[some], deviation[some], ROUNDING)
        report.compare(f"{way}_len_min", both[f"{way}_min_ps"][some], mine_of("len_min")[some])
        report.compare(f"{way}_len_max", both[f"{way}_max_ps"][some], mine_of("len_max")[some])
    duration = (both["last_ns"] - both["first_ns"]) / 1e6
    report.compare("duration", both["bidirectional_duration_ms"], duration, MS)
    compare_gaps(both, report)
    return theirs


def compare_gaps(both, report):
    packets = both["a_packets"] + both["b_packets"]
    # A conversation that ended and began anew has no gap between its lives; nfstream counts it.
    whole = both[(packets > 1) & (both["iat_count"] == packets - 1)]
    count = whole["iat_count"]
    mean = whole["iat_sum_ns"] / count / 1e6
    variance = whole["iat_sumsq_ticks"] * TICK_MS**2 / count - mean * mean
    deviation = numpy.sqrt(numpy.maximum(variance, 0.0))
    tolerance = MS + 2 * TICK_MS
    report.compare("iat_mean", whole["bidirectional_mean_piat_ms"], mean, tolerance)
    report.compare("iat_min", whole["bidirectional_min_piat_ms"], whole["iat_min_ns"] / 1e6, tolerance)
    report.compare("iat_max", whole["bidirectional_max_piat_ms"], whole["iat_max_ns"] / 1e6, tolerance)
    theirs = whole["bidirectional_stddev_piat_ms"] * numpy.sqrt((count - 1) / count)
    report.compare("iat_std", theirs, deviation, tolerance)
    lives = both[(packets > 1) & (both["iat_count"] != packets - 1)]
    ended = [
        53 in (key[2], key[4]) if key[0] == UDP else row["a_fin"] + row["b_fin"] + row["a_rst"] + row["b_rst"] > 0
        for key, row in zip(lives.index, lives.to_dict("records"))
    ]
    report.compare("begun_anew_without_reason", ended, numpy.ones(len(ended)))


def main():
    tool, capture, path = sys.argv[1:4]
    mine, report = ours(path), Report()
    theirs = {"tshark": compare_tshark, "nfstream": compare_nfstream}[tool](mine, capture, report)
    missing = theirs[~theirs.index.isin(mine.index)]
    packets = "bidirectional_packets" if tool == "nfstream" else None
    lost = missing[packets].sum() if packets else missing["a_packets"].sum() + missing["b_packets"].sum()
    summary = {
        "conversations": len(mine),
        "only_ours": int((~mine.index.isin(theirs.index)).sum()),
        "only_theirs_packets": int(lost),
        "figures": report.figures,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
