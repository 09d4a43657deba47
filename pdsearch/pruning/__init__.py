"""Pruning: scores, masks and schedules. The registry of methods is `pdsearch.pruning.registry.methods`."""

from pdsearch.pruning.channels.dependencies import Channels
from pdsearch.pruning.channels.finding import find_channels, rebuild
from pdsearch.pruning.channels.remove import kept_channels, shrink
from pdsearch.pruning.mask import Mask
from pdsearch.pruning.narrow import implied_widths, kept_part, narrow
from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, PruningMethod, check_spec, pruning_method, targets
from pdsearch.pruning.select import select
from pdsearch.pruning.single_round import prune_once
