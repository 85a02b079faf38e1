"""Codes of weights in memory, compared: bits, weights a cycle, and look-up tables of a decoder.

    python benchmarks/weight_codes.py                     # weights like fitted ones
    python benchmarks/weight_codes.py fitted.npz --luts   # those of a fitted network too, and Yosys

Bits are of whole streams, one for each load of 16 blocks of input channels: codebooks, bitmaps that
are ahead and what fills beats up are counted, or the code lengths and ends of 32 Huffman streams.
Weights a cycle are what the bus brings of them, at most 32: a decoder of that width.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import tempfile
from pathlib import Path

import numpy as np

from winogen.common.script import run_script
from winogen.common.text import table
from winogen.compiler.lower import Mode
from winogen.compiler.pack import PackedLayer, pack_network
from winogen.compiler.quantise import quantise
from winogen.network.load import load_network
from winogen.target.board import load_board
from winogen.target.hardware import include_folder, rtl_sources
from winogen.target.weight_code import GROUP, Coding, code_of, stream_beats

#: Weights of a load: 16 blocks of input channels of a kernel of 5 with 8 x 8 lanes.
LOAD = 16 * 25 * 64
#: Huffman streams that give 32 weights a cycle.
STREAMS = 32
CLOCK_MHZ, RATES = 150, (1575, 2100)
INT8 = np.dtype(np.int8)

#: One of them: a code of up to 8 bits and its symbol a cycle, out of a register of 32 bits.
HUFFMAN = """
module huffman (
  input  logic        clk_i, rst_ni, we_i, take_i, come_i,
  input  logic [7:0]  waddr_i,
  input  logic [7:0]  wdata_i,
  input  logic [15:0] data_i,
  output logic        want_o,
  output logic [4:0]  symbol_o
);
  (* ram_style = "distributed" *) logic [7:0] codes[256];  // length - 1 and symbol of each 8 bits
  logic [31:0] bits_q;
  logic [5:0] have_q, left;
  logic [7:0] code;
  always_ff @(posedge clk_i) if (we_i) codes[waddr_i] <= wdata_i;
  assign code   = codes[bits_q[7:0]];
  assign want_o = have_q <= 6'd16;
  assign left   = take_i ? have_q - 6'd1 - 6'(code[2:0]) : have_q;
  always_ff @(posedge clk_i) begin
    symbol_o <= code[7:3];
    bits_q <= (take_i ? bits_q >> (4'd1 + 4'(code[2:0])) : bits_q) |
              (come_i ? 32'(data_i) << left : '0);
    have_q <= !rst_ni ? '0 : left + (come_i ? 6'd16 : 6'd0);
  end
endmodule
"""


def like_fitted(pruned: float, count: int = 40 * LOAD) -> np.ndarray:
    """Gaussian weights of which ``pruned`` are zero and the others share 15 values."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(count)
    weights[abs(weights) < np.quantile(abs(weights), pruned)] = 0
    levels = np.quantile(weights[weights != 0], np.linspace(0.01, 0.99, 15))
    nearest = abs(weights[:, None] - levels).argmin(axis=1)
    values = np.unique(np.round(levels * 40)).astype(np.int8)
    return np.where(weights == 0, 0, values[np.minimum(nearest, len(values) - 1)]).astype(np.int8)


def of_network(model: str) -> list[np.ndarray]:
    """The weights of each layer of a network, as they lie plain."""
    graph = load_network(model)
    core = load_board("pynq-z2").core
    packed = pack_network(quantise(graph, 8), core, Mode.AUTO)
    found = []
    for layer in packed.layers:
        assert isinstance(layer, PackedLayer)
        coded = [p.coded for group in layer.groups for p in group.passes if p.coded]
        found += [c.weights.ravel() for c in coded]
    return found


def lengths(counts: np.ndarray) -> list[int]:
    """Lengths of Huffman codes for symbols that come so often."""
    heap = [(int(n), i, [i]) for i, n in enumerate(counts)]
    found = [max(1, len(counts) == 1)] * len(counts) if len(counts) == 1 else [0] * len(counts)
    heapq.heapify(heap)
    for tie in itertools.count(len(counts)):
        if len(heap) < 2:
            return found
        (a, _, first), (b, _, second) = heapq.heappop(heap), heapq.heappop(heap)
        for i in first + second:
            found[i] += 1
        heapq.heappush(heap, (a + b, tie, first + second))
    raise AssertionError


def bits(weights: np.ndarray) -> dict[str, float]:
    """Bits a weight of each code."""
    count = len(weights)
    loads = [weights[i : i + LOAD] for i in range(0, count, LOAD)]
    total = dict.fromkeys(("plain", "indices", "bitmap", "chosen", "Huffman"), 0)
    values, counts = np.unique(weights, return_counts=True)
    code = dict(zip(values.tolist(), lengths(counts)))
    chosen = code_of(weights)
    for load in loads:
        kept = int(np.count_nonzero(load))
        size = -(-len(load) // GROUP) * GROUP
        total["plain"] += 8 * len(load)
        total["indices"] += 64 * stream_beats(Coding.INDICES, size, size, INT8)
        total["bitmap"] += 64 * stream_beats(Coding.BITMAP, size, kept, INT8)
        assert chosen is not None
        total["chosen"] += 64 * chosen.beats(np.pad(load, (0, size - len(load))))
        each = np.array([code[v] for v in load.tolist()])
        ends = [16 * -(-int(each[i::STREAMS].sum()) // 16) for i in range(STREAMS)]
        total["Huffman"] += 17 * 8 + 4 * 16 + sum(ends)
    entropy = -(counts / count * np.log2(counts / count)).sum()
    return {"entropy": float(entropy), **{name: n / count for name, n in total.items()}}


def luts() -> dict[str, int]:
    """LUTs of the decoder and of one Huffman stream, by Yosys."""
    from pyosys import libyosys as yosys

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        prototype = Path(folder, "huffman.sv")
        prototype.write_text(HUFFMAN)
        for top, files in (("wg_decode", rtl_sources()), ("huffman", [prototype])):
            design, report = yosys.Design(), Path(folder, f"{top}.txt")
            names = " ".join(map(str, files))
            script = Path(folder, f"{top}.ys")
            script.write_text(
                f"read_slang --top {top} --ignore-assertions -I {include_folder()} {names}\n"
                f"synth_xilinx -family xc7 -flatten -noiopad -noclkbuf\ntee -o {report} stat\n"
            )
            yosys.run_pass(f"tee -q script {script}", design)
            rows = [line.split() for line in report.read_text().splitlines()]
            sizes = {r[1]: int(r[0]) for r in rows if len(r) == 2 and r[0].isdigit()}
            logic = sum(n for name, n in sizes.items() if name.startswith("LUT"))
            # Of a RAM32M and a RAM64M four are memory, of the others as many as their names say.
            memory = sum(4 * sizes.get(name, 0) for name in ("RAM32M", "RAM64M", "RAM256X1S"))
            memory += sum(
                n * sizes.get(name, 0) for name, n in (("RAM256X1D", 8), ("RAM128X1D", 4))
            )
            found[top] = logic + memory
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="networks with pruned and shared weights")
    parser.add_argument("--luts", action="store_true", help="synthesise the decoders")
    options = parser.parse_args()
    cases = {f"drawn, {p:.0%} zeros": like_fitted(p) for p in (0.0, 0.4, 0.6, 0.75)}
    for model in options.models:
        for number, weights in enumerate(of_network(model)):
            cases[f"{Path(model).stem}, {number} ({len(weights):,})"] = weights
    names = ["plain", "indices", "bitmap", "Huffman"]
    found = {case: bits(weights) for case, weights in cases.items()}
    rows = [
        [case, *(f"{b[n]:.2f}" for n in ("entropy", *names, "chosen"))] for case, b in found.items()
    ]
    print(table(["bits a weight", "entropy", *names, "chosen"], rows, left=1))
    print()
    rows = [
        [f"{case}, {rate} MB/s", *(f"{min(32, 8 * rate / CLOCK_MHZ / b[n]):.1f}" for n in names)]
        for case, b in found.items()
        for rate in RATES
    ]
    print(table(["weights a cycle", *names], rows, left=1))
    if options.luts:
        sizes = luts()
        print(f"\nLUTs: wg_decode {sizes['wg_decode']:,}, a Huffman stream {sizes['huffman']:,}, "
              f"{STREAMS} of them {STREAMS * sizes['huffman']:,}")  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run_script(main))
