"""Export of a study: configurations that run again, and students that load without it."""

from pdsearch.exporting.bundle import Exported, export_ranked, export_study
from pdsearch.exporting.model_card import model_card
from pdsearch.exporting.onnx_file import ONNX_FILE, save_onnx
from pdsearch.exporting.pinned import pinned_space, to_yaml
from pdsearch.exporting.student_file import (
    Card,
    Preprocess,
    load_preprocess,
    load_student,
    read_card,
    save_student,
)

__all__ = [
    "ONNX_FILE",
    "Card",
    "Exported",
    "Preprocess",
    "export_ranked",
    "export_study",
    "load_preprocess",
    "load_student",
    "model_card",
    "pinned_space",
    "read_card",
    "save_onnx",
    "save_student",
    "to_yaml",
]
