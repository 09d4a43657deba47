"""Export of a study: configurations that run again, and students that load without it."""

from pdsearch.exporting.bundle import Exported, export_ranked, export_study
from pdsearch.exporting.model_card import model_card
from pdsearch.exporting.onnx_file import save_onnx
from pdsearch.exporting.pinned import pinned_space, to_yaml
from pdsearch.exporting.student_file import (
    Card,
    Preprocess,
    load_preprocess,
    load_student,
    load_teacher,
    read_card,
    save_network,
)

__all__ = [
    "Card",
    "Exported",
    "Preprocess",
    "export_ranked",
    "export_study",
    "load_preprocess",
    "load_student",
    "load_teacher",
    "model_card",
    "pinned_space",
    "read_card",
    "save_network",
    "save_onnx",
    "to_yaml",
]
