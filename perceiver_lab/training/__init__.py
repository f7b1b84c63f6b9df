"""Losses, metrics, optimisers, and the step and loop that train with them. Orbax is imported when a run is saved."""

from perceiver_lab.training import schedules
from perceiver_lab.training.checkpoint import Checkpoint
from perceiver_lab.training.checkpoints import (
    Checkpointer,
    CheckpointError,
    DamagedCheckpointError,
    FolderInUseError,
)
from perceiver_lab.training.evaluation import Evaluation, answers, classifier_metrics, evaluate
from perceiver_lab.training.forward import classification_loss, forward
from perceiver_lab.training.history import History
from perceiver_lab.training.interrupts import TrainingInterrupted
from perceiver_lab.training.loop import NonFiniteLossError, Training, train
from perceiver_lab.training.losses import cross_entropy, multimodal_loss
from perceiver_lab.training.masking import hide, masked_autoencoding, masked_loss
from perceiver_lab.training.memory import OutOfMemoryError
from perceiver_lab.training.metrics import Accuracy, accuracy, confusion, top_k_accuracy, wilson_interval
from perceiver_lab.training.next_token import next_token_loss, token_losses
from perceiver_lab.training.optimizers import OptimizerConfig, adamw, decay_mask, lamb
from perceiver_lab.training.sharding import Layout, LostProcessError, make_mesh, parse_mesh, start_processes
from perceiver_lab.training.step import TrainStep, make_train_step
from perceiver_lab.training.weights import WeightsError, load_weights, read_about, save_weights

__all__ = [
    "Accuracy",
    "Checkpoint",
    "CheckpointError",
    "Checkpointer",
    "DamagedCheckpointError",
    "Evaluation",
    "FolderInUseError",
    "History",
    "Layout",
    "LostProcessError",
    "NonFiniteLossError",
    "OptimizerConfig",
    "OutOfMemoryError",
    "TrainStep",
    "Training",
    "TrainingInterrupted",
    "WeightsError",
    "accuracy",
    "adamw",
    "answers",
    "classification_loss",
    "classifier_metrics",
    "confusion",
    "cross_entropy",
    "decay_mask",
    "evaluate",
    "forward",
    "hide",
    "lamb",
    "load_weights",
    "make_mesh",
    "make_train_step",
    "masked_autoencoding",
    "masked_loss",
    "multimodal_loss",
    "next_token_loss",
    "parse_mesh",
    "read_about",
    "save_weights",
    "schedules",
    "start_processes",
    "token_losses",
    "top_k_accuracy",
    "train",
    "wilson_interval",
]
