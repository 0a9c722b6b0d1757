"""The autoencoder's network in ONNX Runtime on one thread, beside `cargo xtask bench pipeline`, which runs this file.

Arguments: the number of features and the hidden layers' widths. Prints a line for each batch size: rows per call,
nanoseconds of CPU time per row (median). Exits with 3 when numpy, onnx or onnxruntime is not installed.
"""

import sys
import time

try:
    import numpy
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)

BATCHES = (256, 1024, 4096, 10000)
SECONDS = 0.7
ROWS_PER_SAMPLE = 20_000


def model(widths):
    """Dense layers between these widths with ReLU between them; random weights, as speed does not depend on them."""
    random = numpy.random.default_rng(1)
    nodes, parameters, last = [], [], "x"
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        weights = random.standard_normal((inputs, outputs), dtype=numpy.float32) / inputs**0.5
        parameters.append(numpy_helper.from_array(weights, f"weight{index}"))
        parameters.append(numpy_helper.from_array(numpy.zeros(outputs, numpy.float32), f"bias{index}"))
        nodes.append(helper.make_node("Gemm", [last, f"weight{index}", f"bias{index}"], [f"layer{index}"]))
        last = f"layer{index}"
        if index + 2 < len(widths):
            nodes.append(helper.make_node("Relu", [last], [f"relu{index}"]))
            last = f"relu{index}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width])
        for name, width in (("x", widths[0]), (last, widths[-1]))
    ]
    graph = helper.make_graph(nodes, "autoencoder", ends[:1], ends[1:], parameters)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    return made.SerializeToString()


def nanoseconds_per_row(session, rows, width):
    """Median CPU time per row of calls with this many rows."""
    values = numpy.random.default_rng(2).standard_normal((rows, width), dtype=numpy.float32)
    calls = max(1, ROWS_PER_SAMPLE // rows)
    samples = []
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        begin = time.thread_time_ns()
        for _ in range(calls):
            session.run(None, {"x": values})
        samples.append((time.thread_time_ns() - begin) / (calls * rows))
    return sorted(samples)[len(samples) // 2]


def main():
    features, *hidden = map(int, sys.argv[1:])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model([features, *hidden, features]), options, providers=["CPUExecutionProvider"]
    )
    for rows in BATCHES:
        print(rows, f"{nanoseconds_per_row(session, rows, features):.1f}")


main()
