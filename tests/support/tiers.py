"""The quick tier (``pytest -m quick``), two minutes of two processors; the order of all tests.

All that is in some folders and needs neither Verilator's simulations nor another pytest, but what
is slow. Tests of the simulated logic have ``rtl`` in their names.
"""

from __future__ import annotations

from functools import cache
from pathlib import PurePath

FOLDERS = ("unit", "devices", "repository")
#: Folders, files and functions that are left out of these folders, and why.
SLOW = {
    "unit/compression": "networks that are trained, a minute",
    "unit/bench/test_compare.py": "onnxruntime too, 9 s",
    "unit/cli/test_exits.py": "trains",
    "unit/cli/test_fit_command.py": "trains, a minute",
    "unit/cli/test_fit_once.py": "trains",
    "unit/network/onnx/test_families.py::test_one_of_each_family": "3 s",
    "unit/network/test_stored.py::test_networks_of_the_zoo": "2 s",
    "unit/program/test_weights_file.py::test_a_pruned_network_takes_what_its_entropy_says": "2 s",
    "unit/quality/test_accuracy.py::test_bold_pictures_do_not_saturate_16_bits": "2 s",
    "repository/test_compression.py::test_costs_of_blocks_are_those_of_the_compiler": "5 s",
    "devices/test_host_layers.py::test_each_layer_at_each_place": "8 s",
    "devices/test_host_layers.py::test_networks": "3 s",
    "unit/cli/test_fit.py::test_one_that_runs_in_windows_is_padded_for_its_strides": "3 s",
    "devices/test_board_run.py": "starts pytest a dozen times",
    "devices/test_remote.py::test_a_server_that_stops_to_answer": "waits, 5 s",
    "devices/test_remote.py::test_a_server_that_stops_to_answer_while_it_is_opened": "waits, 3 s",
    "devices/test_remote.py::test_an_answer_without_end": "memory, 4 s",
    "devices/test_remote.py::test_a_record_that_is_damaged": "4 s",
    "devices/test_pairs.py::test_every_mode": "4 s",
    "devices/test_coded_weights.py::test_every_mode": "3 s",
    "devices/test_core.py::test_results_that_overlap_on_chip": "3 s",
    "unit/cluster/test_workers.py::test_a_scheduler_that_ends_and_comes_again": "waits, 18 s",
    "unit/doctor/test_doctor.py::test_the_emulated_device": "every check, 4 s",
    "unit/network/onnx/test_world.py::test_old_opsets_are_converted": "4 s",
    "unit/network/onnx/test_host_operators.py::test_interpolation_before_it_was_told_how": "3 s",
    "unit/network/test_stored.py::test_mutated_layers": "3 s",
    "unit/compilation/test_check.py::test_boards": "every board, 4 s",
    "unit/compilation/test_compile.py::test_no_option_is_spelled_twice": "3 s",
    "unit/compiler/test_hazards.py::test_a_token_given_too_early_is_a_race": "4 s",
    "unit/compiler/test_quantise.py::test_random_networks_stay_close_to_the_float_network": "4 s",
    "unit/compiler/test_coded.py::test_pruned_layers_are_coded_and_take_less_memory": "4 s",
    "unit/compiler/test_coded.py::test_a_batch_that_does_not_fit_leaves_nothing_behind": "3 s",
    "unit/program/test_file_mutants.py::test_damaged_programs": "4 s",
    "unit/target/test_winograd.py::test_four_times_the_correlation": "3 s",
    "unit/target/test_isa.py::test_params_round_trip": "3 s",
    "unit/cli/test_fit.py::test_a_program_of_one_size": "3 s",
    "repository/test_results.py::test_predictions_are_those_of_the_compiler_now": "large networks",
    "repository/test_slang.py::test_every_build_is_clean": "3 s",
    "devices/test_conformance.py::test_batches": "6 s",
    "devices/test_conformance.py::test_channels_that_do_not_fill_a_block": "a sweep, 5 s",
    "devices/test_conformance.py::test_every_deconvolution": "a sweep, 8 s",
    "devices/test_conformance.py::test_odd_sizes": "a sweep, 6 s",
    "devices/test_conformance.py::test_random_networks": "8 s; every layer and mode is in it",
    "devices/test_conformance.py::test_extreme_weights_and_activations": "8 s",
    "devices/test_core.py::test_any_change_of_a_stream_is_the_same_to_both": "9 s",
    "devices/test_core.py::test_a_sum_that_goes_on_in_another_place": "3 s",
    "devices/test_host_layers.py::test_random_networks": "5 s; every layer is in others",
    "devices/test_host_layers.py::test_random_traced_programs": "4 s",
    "devices/test_left_behind.py": "processes that are killed, 15 s",
    "devices/test_overlay.py::test_processes_may_write_the_same_overlay_at_once": "processes, 4 s",
    "devices/test_random_networks.py::test_emulators": "11 s; every layer and mode is in it",
    "devices/test_remote.py::test_a_core_that_a_killed_process_left_running": "processes, 4 s",
    "devices/test_remote.py::test_a_process_that_ends_without_closing": "processes, 3 s",
    "devices/test_remote.py::test_a_worker_of_a_cluster": "processes, 12 s",
    "devices/test_remote.py::test_doctor": "5 s",
    "devices/test_remote.py::test_one_process_at_a_time": "processes, 3 s",
    "devices/test_remote.py::test_the_command": "5 s",
    "devices/test_simulation_end.py": "processes, 3 s",
    "devices/test_soft_errors.py::test_what_changes_between_runs_is_written_again": "4 s",
    "devices/test_soft_errors.py::test_no_wrong_picture_is_returned": "two runs for each flip, 3 s",
    "devices/test_soft_errors.py::test_without_the_check_wrong_pictures_are_returned": "likewise",
    "devices/test_waits.py::test_signals_at_random_times": "4 s; others strike at every access",
    "repository/test_docs.py::test_python_examples_run": "some train, 15 s",
    "repository/test_lint.py::test_every_module_is_clean": "Verilator for each, 12 s",
    "repository/test_lint.py::test_the_core_is_clean_in_every_build": "the whole core each time",
    "repository/test_lint.py::test_the_wrapper_for_vivado_is_clean_in_every_build": "likewise",
    "repository/test_lint.py::test_the_top_level_of_the_open_flow_is_clean": "likewise",
    "repository/test_lint.py::test_yosys_elaborates_the_core_and_finds_no_problem": "likewise",
    "repository/test_signs.py::test_no_sign_hangs_on_a_cast": "the whole core twice",
    "repository/test_slang.py::test_no_warning_is_off_for_nothing": "slang for each option, 3 s",
    "repository/test_strategies.py::test_a_network_that_fails_shrinks_to_the_layer_that_does":
        "shrinking, 4 s",
    "unit/cli/test_serve.py::test_a_unit": "a process where there is systemd",
    "unit/media/test_clips.py::test_memory_does_not_grow_with_the_length": "a process, 2 s",
    "unit/service/test_page.py": "a browser, 5 s",
    "unit/service/test_server.py": "processes, 6 s",
    "unit/cli/test_completion.py": "processes, 4 s",
    "unit/cli/test_progress.py::test_compile_verify_and_check": "four commands, 3 s",
    "unit/compilation/test_check.py::test_a_network_that_runs": "compiles it too, 3 s",
    "unit/compilation/test_check.py::test_what_does_not_fit_is_said_for_each_board":
        "large layers, 3 s",
    "unit/cli/test_streams.py::test_what_is_printed_does_not_get_into_a_file": "processes, 3 s",
    "unit/cli/test_commands.py::test_as_a_process": "a process, 3 s",
    "unit/cli/test_streams.py::test_closed_streams": "processes, 3 s",
    "unit/common/test_files.py::test_standard_output_goes_on": "processes, 3 s",
    "unit/common/test_folders.py::test_a_working_directory_that_is_gone": "processes, 3 s",
    "unit/common/test_folders.py::test_the_command_says_it_in_a_line_and_leaves_nothing":
        "processes, 4 s",
    "unit/common/test_pynq_library.py::test_one_sentence": "nine processes, 7 s",
    "unit/compilation/test_compile.py::test_python_and_the_command_write_the_same_bytes": "4 s",
    "unit/compiler/test_ends.py::test_only_auto_folds": "large layers, 2 s",
    "unit/compilation/test_compile.py::test_a_model_is_a_name_of_the_zoo": "3 s",
    "unit/compiler/test_ends.py::test_folds_are_faster_by_the_cost_model": "3 s",
    "unit/compiler/test_ends.py::test_folds_that_are_not_the_networks": "4 s",
    "unit/compiler/test_ends.py::test_networks_run_with_folded_ends": "3 s",
    "unit/compiler/test_ends.py::test_what_the_host_moves_is_weighed": "large layers, 3 s",
    "unit/compiler/test_hazards.py::test_a_missing_token_is_a_race_unless_others_imply_it": "7 s",
    "unit/compiler/test_hazards.py::test_every_order_gives_the_same_bytes": "3 s",
    "unit/compiler/test_hazards.py::test_no_stream_of_any_network_has_a_race": "3 s",
    "unit/compiler/test_host_quality.py::test_constants_of_any_size_fit_a_program": "3 s",
    "unit/compiler/test_host_quality.py::test_networks_of_any_scale_compile": "6 s",
    "unit/compiler/test_lower.py::test_every_mode_equals_the_loops": "plain loops, 5 s",
    "unit/compiler/test_quantise.py::test_super_resolution_stays_close": "large images, 3 s",
    "unit/compiler/test_quantise.py::test_trained_networks_reach_what_a_good_quantiser_reaches":
        "large networks, 12 s",
    "unit/compiler/test_schedule.py::test_digits_on_every_board_in_every_batch": "4 s",
    "unit/compiler/test_schedule.py::test_random_networks_on_the_smallest_memories": "8 s",
    "unit/compiler/test_schedule.py::test_the_zoo": "large networks, 40 s",
    "unit/cli/test_waits.py::test_a_signal_ends_it_in_good_order": "two processes",
    "unit/cost/test_simulate.py::test_speed_up_where_compute_is_the_limit": "4 s",
    "unit/cost/test_simulate.py::test_automatic_mode_is_the_fastest": "every mode, 3 s",
    "unit/doctor/test_doctor.py::test_a_board_that_winogen_does_not_know": "every check, 5 s",
    "unit/doctor/test_doctor.py::test_a_stream_that_never_ends_is_given_up": "waits, 10 s",
    "unit/doctor/test_first_day.py::test_a_bus_that_nobody_answers_on_ends_a_check_and_not_doctor":
        "processes, 3 s",
    "unit/doctor/test_first_day.py::test_a_sound_board_passes": "every check, 2 s",
    "unit/fpga/test_explore.py::test_16_bits_are_not_multiplied_in_pairs": "a search, 2 s",
    "unit/fpga/test_explore.py::test_both_numbers_of_products_are_tried_whatever_the_board_has":
        "a search, 3 s",
    "unit/network/test_definition_layers.py::test_a_network_of_all_of_it_runs": "compiles, 2 s",
    "unit/network/onnx/test_families.py::test_what_runs": "a hundred networks, one second each",
    "unit/network/onnx/test_families.py::test_16_bits": "forty networks, one second each",
    "unit/network/onnx/test_world.py::test_a_constant_of_the_batchs_size": "10 s",
    "unit/network/onnx/test_refusals.py::test_damaged_files": "a process, 6 s",
    "unit/network/onnx/test_importer.py::test_onnx_node_tests_pass_or_are_refused_as_documented":
        "hundreds of models, 6 s",
    "unit/reports/test_page.py::test_any_network_makes_a_page": "random networks, 2 s",
    "unit/runtime/test_generator.py::test_batches_of_any_size": "3 s",
    "unit/runtime/test_generator.py::test_modes_by_name": "a network in every mode, 7 s",
    "unit/runtime/test_generator.py::test_trained_networks_look_like_the_float_network": "8 s",
    "unit/target/test_isa.py::test_round_trip": "5 s",
    "unit/target/test_numerics.py::test_requantiser_is_exact": "3 s",
    "unit/target/test_refusals.py::test_every_message_is_that_of_the_plain_rules": "7 s",
    "unit/quality/test_accuracy.py::test_a_headroom_that_is_asked_for_is_the_headroom": "6 s",
    "unit/runtime/test_pictures.py::test_super_resolution_beats_interpolation": "large, 3 s",
    "unit/quality/test_verify.py::test_every_layer_of_a_traced_program_is_the_references": "4 s",
    "unit/runtime/test_windows.py::test_random_networks_in_windows": "6 s",
    "unit/runtime/test_windows.py::test_images_of_any_size_on_the_emulator": "large images, 10 s",
    "devices/test_coded_weights.py::test_streams_changed_at_random_end_alike": "2 s",
    "unit/bench/test_suite.py::test_a_record_and_its_document": "a record of a run, 1 s",
    "unit/cli/test_labels.py::test_a_picture_with_what_goes_beside_it": "2 s",
    "unit/cluster/test_commands.py": "processes, 4 s",
    "unit/compiler/test_schedule.py::test_fewer_images_at_once_of_a_network_with_much_work": "2 s",
    "unit/doctor/test_doctor.py::test_interrupted": "every check, 2 s",
    "unit/doctor/test_doctor.py::test_json": "every check, 2 s",
    "unit/fpga/test_explore.py::test_a_build_for_open_tools_has_an_array_that_they_place":
        "a search, 1 s",
    "unit/fpga/test_explore.py::test_the_command": "a search, 1 s",
    "unit/network/onnx/test_refusals.py::test_folding_that_takes_too_long_is_refused": "waits",
    "unit/quality/test_accuracy.py::test_corrected_biases_make_the_hard_network_good": "2 s",
    "unit/service/test_apart.py": "processes, 6 s",
}  # fmt: skip
#: The one conformance test that the machine and floats take part in; the full suite holds them to
#: more.
MACHINE = "test_every_mode"


@cache
def may_be_quick(path: PurePath) -> bool:
    """Whether a file or folder, within tests/, may have tests of the tier: others are not read."""
    if not path.parts:
        return True  # tests/ itself
    return path.parts[0] in FOLDERS and not {*map(str, path.parents), str(path)} & SLOW.keys()


def is_quick(path: PurePath, name: str) -> bool:
    """Whether a test belongs to the tier.

    Parameters
    ----------
    path : its file, within tests/
    name : its function, with its parameters
    """
    function, _, case = name.partition("[")
    if not may_be_quick(path) or "rtl" in name:
        return False
    if case.startswith(("machine", "floats")) and function != MACHINE:
        return False
    return f"{path}::{function}" not in SLOW


#: The conformance suite; on its slowest devices what others cover is left to the long sweeps.
SUITE = PurePath("devices/test_conformance.py")


def is_swept(path: PurePath, name: str) -> bool:
    """Whether a test of the conformance suite is one of the long sweeps, where all devices run.

    The machine is the emulator without what makes it fast: one test holds it to every mode. The
    logic of 16 bits with the whole array takes half a minute to build: smaller ones are run, and
    the same tests with 8 bits. Of random networks the logic runs every other one under stalls.
    """
    if path != SUITE:
        return False
    function, _, case = name.partition("[")
    words = case.rstrip("]").split("-")
    if words[0] == "machine":
        return function != MACHINE
    if words[0] == "floats":
        return function not in FLOATS
    if words[0] != "rtl":
        return False
    if function == "test_random_networks":  # every other one under stalls
        return int(words[-1]) % 2 != ("stalls" in words)
    return "16" in words and function in LARGE_BUILD


#: What floats by numpy are held to where the emulator multiplies bytes: exactness at its edges.
FLOATS = (
    "test_every_mode",
    "test_extreme_weights_and_activations",
    "test_random_networks",
    "test_sums_at_the_limit_of_the_accumulator",
    "test_the_last_bit_of_large_sums",
)
LARGE_BUILD = (
    "test_batches",
    "test_extreme_weights_and_activations",
    "test_sums_at_the_limit_of_the_accumulator",
    "test_the_last_bit_of_large_sums",
)
#: Files with the longest tests, which are begun first.
LONGEST = (
    "rtl/core/test_synthesis.py",
    "flows/test_site.py",
    "rtl/core/test_open_top.py",
    "rtl/units",
    "rtl",
)


@cache
def starts(path: PurePath) -> int:
    """The place of a test file, within tests/, in the order of the run: long tests come first."""
    for place, first in enumerate(LONGEST):
        if path.is_relative_to(first):
            return place
    return len(LONGEST)
