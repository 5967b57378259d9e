"""What the names of columns say: an image's id, the truth, an answer, a score per class, or something beside them."""

from __future__ import annotations

import re

__all__ = ["group_of", "is_answer", "is_beside", "is_either", "is_id", "is_truth", "plain"]

_IDS = (
    "image_id", "imageid", "id", "ids", "image_ids", "file", "files", "filename", "filenames", "file_name", "image",
    "image_name", "image_path", "img", "img_path", "img_id", "path", "filepath", "file_path", "doc_id", "uid", "key",
    "sample_id", "example_id", "photo", "picture", "its_keys", "the_index",
)  # fmt: skip
_TRUTH = (
    "label", "labels", "class", "classes", "target", "targets", "truth", "true", "y", "y_true", "ytrue", "y_test",
    "gt", "gt_label", "ground_truth", "groundtruth", "gold", "gold_label", "true_label", "true_class", "label_true",
    "class_true", "actual", "expected", "reference", "correct_label", "correct_class", "wnid", "synset", "category",
    "class_id", "class_name", "label_id", "label_name", "true_labels", "category_id", "fine_label", "original_label",
)  # fmt: skip
_ANSWERS = (
    "prediction", "predictions", "predicted", "pred", "preds", "y_pred", "ypred", "y_hat", "yhat", "y_predicted",
    "top1", "top_1", "top5", "top_5", "topk", "answer", "answers", "argmax", "pred_label", "pred_class", "class_pred",
    "predicted_label", "predicted_class", "label_pred", "pred_idx", "pred_index", "pred_id", "predicted_id", "guess",
    "model_output", "response", "choice", "its_values", "filtered_resps", "probabilities", "probs", "proba", "scores",
    "logits", "softmax", "outputs", "output", "ranking", "predicted_labels", "predicted_classes", "votes",
)  # fmt: skip
_EITHER = ("answer", "answers", "choice", "response", "votes")
"""Of the answers: names that a data set has for its truth, too."""
_BESIDE = (
    "confidence", "conf", "probability", "prob", "score", "logit", "max_prob", "entropy", "loss", "margin", "correct",
    "is_correct", "acc", "hit", "weight", "split", "fold", "num_selected", "num_shown", "frequency", "width", "height",
    "sha256", "license", "url", "owner", "title", "seed", "epoch", "batch", "time", "latency", "preprocessing", "model",
    "group", "groups", "worker", "worker_id", "annotator", "annotator_id", "cluster", "subset", "frame", "frame_id",
)  # fmt: skip
_RANKS = (
    "", "label", "labels", "class", "pred", "prediction", "predicted", "index", "idx", "indices", "top", "topk", "rank",
    "class_id", "label_id", "choice", "answer", "top_label", "top_class", "pred_label", "pred_class", "top_pred",
)  # fmt: skip
_SCORES = (
    "p",
    "prob",
    "probs",
    "proba",
    "probability",
    "score",
    "scores",
    "logit",
    "logits",
    "softmax",
    "output",
    "conf",
    "confidence",
    "likelihood",
)


def plain(name: str) -> str:
    """A column's name without case and punctuation: "True Label" is "true_label"."""
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")


def is_id(name: object) -> bool:
    """Whether a column of this name names images."""
    return plain(str(name)) in _IDS


def is_truth(name: str) -> bool:
    """Whether a column of this name usually holds the truth. Alone in a file it may hold predictions, too."""
    return plain(name) in _TRUTH


def is_answer(name: str) -> bool:
    """Whether a column of this name is one model's answers, and no model's name."""
    return plain(name) in _ANSWERS


def is_either(name: str) -> bool:
    """Whether a column of this name is as likely the truth as a model's answers."""
    return plain(name) in _EITHER


def is_beside(name: str) -> bool:
    """Whether a column of this name says something of an answer or an image, and is not an answer."""
    return plain(name) in _BESIDE


_NUMBERED = re.compile(r"(?P<prefix>.*?)[ _.:-]?(?P<number>\d+)")
_SUFFIXED = re.compile(r"(?P<prefix>[A-Za-z]+)[ _.:-](?P<suffix>.+)", re.DOTALL)


def group_of(name: str) -> tuple[str, str, str] | None:
    """("ranks" or "scores", the group's prefix, what follows) of "label_3", "top1", "p_owl", "prob:12"; else None."""
    if (scored := _SUFFIXED.fullmatch(name)) and scored["prefix"].casefold() in _SCORES:
        return "scores", scored["prefix"], scored["suffix"]
    if (ranked := _NUMBERED.fullmatch(name)) and ranked["prefix"] == ranked["prefix"].strip():
        prefix = plain(ranked["prefix"])
        if prefix in _RANKS and (prefix or ranked["prefix"] == ""):
            return "ranks", ranked["prefix"], ranked["number"]
        if prefix in _SCORES:
            return "scores", ranked["prefix"], ranked["number"]
    return None
