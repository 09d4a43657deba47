"""Networks: their registry, their sizes, and students sized after a pruned teacher."""

from pdsearch.models.checkpoint_file import file_hash
from pdsearch.models.copies import copied, copied_whole, folded, with_plain_weights
from pdsearch.models.network import Network
from pdsearch.models.profile import count_flops, count_params, has_depthwise, latency
from pdsearch.models.registry import Builder, build, build_on_meta, drawing, lasting, models, without_weights
from pdsearch.models.state_tensors import (
    constants_of,
    evaluating,
    load_constants,
    load_tensors,
    names_and_verb,
    nbytes,
    not_finite,
    state_of,
    state_tensors,
    was_not_finite,
)
from pdsearch.models.weights import fit_weights, load_checkpoint
from pdsearch.models.width_solver import plan_from_masks, takes_widths
