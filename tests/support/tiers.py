"""The quick tier: what catches most, in two minutes of two processors; ``pytest -m quick``.

All that is in some folders and needs neither Verilator's simulations nor another pytest, but what
is slow. Tests of the simulated logic have ``rtl`` in their names.
"""

from __future__ import annotations

from pathlib import PurePath

FOLDERS = ("unit", "devices", "repository")
#: Files and functions that are left out of these folders, and why.
SLOW = {
    "devices/test_board_run.py": "starts pytest a dozen times",
    "devices/test_waits.py::test_signals_at_random_times": "4 s; others strike at every access",
    "repository/test_docs.py::test_python_examples_run": "a process for every example",
    "repository/test_lint.py::test_the_core_is_clean_in_every_build": "the whole core each time",
    "repository/test_lint.py::test_the_wrapper_for_vivado_is_clean_in_every_build": "likewise",
    "repository/test_lint.py::test_the_top_level_of_the_open_flow_is_clean": "likewise",
    "repository/test_lint.py::test_yosys_elaborates_the_core_and_finds_no_problem": "likewise",
    "repository/test_signs.py::test_no_sign_hangs_on_a_cast": "the whole core twice",
    "unit/compiler/test_quantise.py::test_trained_networks_reach_what_a_good_quantiser_reaches":
        "large networks, 12 s",
    "unit/compiler/test_schedule.py::test_the_zoo": "large networks, 40 s",
    "unit/cli/test_waits.py::test_a_signal_ends_it_in_good_order": "two processes",
    "unit/cost/test_simulate.py::test_speed_up_where_compute_is_the_limit": "4 s",
    "unit/network/onnx/test_importer.py::test_onnx_node_tests_pass_or_are_refused_as_documented":
        "hundreds of models, 6 s",
    "unit/runtime/test_generator.py::test_trained_networks_look_like_the_float_network": "8 s",
    "unit/runtime/test_windows.py::test_images_of_any_size_on_the_emulator": "large images, 10 s",
}  # fmt: skip
#: Functions whose sweeps the emulator alone goes through; the machine is held to it elsewhere.
SWEEPS = (
    "test_batches",
    "test_channels_that_do_not_fill_a_block",
    "test_every_deconvolution",
    "test_extreme_weights_and_activations",
    "test_odd_sizes",
    "test_random_networks",
)


def is_quick(path: PurePath, name: str) -> bool:
    """Whether a test belongs to the tier.

    Parameters
    ----------
    path : its file, within tests/
    name : its function, with its parameters
    """
    function, _, case = name.partition("[")
    if path.parts[0] not in FOLDERS or "rtl" in name:
        return False
    if function in SWEEPS and case.startswith("machine"):
        return False
    return not {str(path), f"{path}::{function}"} & SLOW.keys()
