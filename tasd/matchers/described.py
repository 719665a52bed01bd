"""The matchers as they are listed: papers, published accuracies, needs; known without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Published accuracies in percent, (1-shot, 5-shot).
Accuracies = tuple[float | None, float | None]


@dataclass(frozen=True)
class Described:
    """The accuracy that a matcher's authors report, and the needs of its default form.

    The authors' settings are in `tasd.recipes`.

    accuracy: 5-way accuracy in percent, data set -> (1-shot, 5-shot), with an ImageNet
        ResNet-50 on 8 RGB frames where ``note`` names no other network; None for a number that
        is not published.
    other_protocol: as accuracy, figures of another protocol or setting, which are often quoted
        beside it and are not compared with it.
    note: what a reader of these figures must know, a sentence or two.
    reads_maps: `Matcher.needs_maps` of its class. reads_stages: `Matcher.levels`.
    transductive: `Matcher.transductive`. transductive_option: true where an option makes it so.
    """

    paper: str
    accuracy: Mapping[str, Accuracies] = field(default_factory=dict)
    other_protocol: Mapping[str, Accuracies] = field(default_factory=dict)
    note: str = ""
    reads_maps: bool = False
    reads_stages: int = 0
    transductive: bool = False
    transductive_option: bool = False


# In the order of `MATCHERS`. The classes, which need torch, say the same of their needs.
DESCRIBED: dict[str, Described] = {
    "bimhm": Described(
        paper="Wang et al., Hybrid Relation Guided Set Matching, CVPR 2022 (the metric alone)",
        accuracy={"kinetics": (72.3, 84.5), "ucf101": (81.7, 89.3), "hmdb51": (58.3, 69.0)},
    ),
    "prototype": Described(paper="Snell et al., Prototypical Networks, NeurIPS 2017"),
    "otam": Described(
        paper="Cao et al., Few-Shot Video Classification via Temporal Alignment, CVPR 2020",
        accuracy={"kinetics": (72.2, 84.2), "ucf101": (79.9, 88.9), "hmdb51": (54.5, 68.0)},
    ),
    "trx": Described(
        paper="Perrett et al., Temporal-Relational CrossTransformers, CVPR 2021",
        accuracy={"kinetics": (63.6, 85.9), "ucf101": (78.2, 96.1), "hmdb51": (53.1, 75.6)},
    ),
    "ta2n": Described(
        paper="Li et al., TA2N: Two-Stage Action Alignment Network, AAAI 2022",
        accuracy={"kinetics": (72.8, 85.8), "ucf101": (81.9, 95.1), "hmdb51": (59.7, 73.9)},
        reads_maps=True,
    ),
    "strm": Described(
        paper="Thatipelli et al., Spatio-temporal Relation Modeling, CVPR 2022",
        accuracy={"kinetics": (62.9, 86.7), "ucf101": (80.5, 96.9), "hmdb51": (52.3, 77.3)},
        reads_maps=True,
    ),
    "hyrsm": Described(
        paper="Wang et al., Hybrid Relation Guided Set Matching, CVPR 2022",
        accuracy={"kinetics": (73.7, 86.1), "ucf101": (83.9, 94.7), "hmdb51": (60.3, 76.0)},
    ),
    "molo": Described(
        paper="Wang et al., MoLo: Motion-augmented Long-short Contrastive Learning, CVPR 2023",
        accuracy={"kinetics": (74.0, 85.6), "ucf101": (86.0, 95.5), "hmdb51": (60.8, 77.4)},
        reads_maps=True,
    ),
    "chamfer": Described(
        paper="Bertrand et al., Rethinking matching-based few-shot action recognition, SCIA 2023"
    ),
    "hcl": Described(
        paper="Zheng et al., Hierarchical Matching and Contrastive Learning, ECCV 2022 "
        "(trained on the training and validation classes)",
        accuracy={"kinetics": (73.7, 85.8), "ucf101": (82.5, 93.9), "hmdb51": (59.1, 76.3)},
        reads_maps=True,
    ),
    "sloshnet": Described(
        paper="Xing et al., Revisiting the Spatial and Temporal Modeling, AAAI 2023",
        accuracy={"kinetics": (70.4, 87.0), "ucf101": (86.0, 97.1), "hmdb51": (59.4, 77.5)},
        reads_stages=4,
    ),
    "sloshnet-temporal": Described(
        paper="Xing et al., Revisiting the Spatial and Temporal Modeling, AAAI 2023 (its half)",
        reads_stages=1,
    ),
    "arn": Described(
        paper="Zhang et al., Few-shot Action Recognition with Permutation-invariant Attention, "
        "ECCV 2020",
        accuracy={"kinetics": (63.7, 82.4), "ucf101": (66.3, 83.1), "hmdb51": (45.5, 59.0)},
        other_protocol={"ucf101": (62.1, 84.8), "hmdb51": (44.6, 59.1)},
        note="its own 3D network c3d64 on 20 frames of 128 pixels, from scratch. The figures of "
        "another protocol are means over five random splits of the classes in halves (its Table "
        "1), which Zhang et al. (IJCAI 2024) print beside others; those on the usual splits are of "
        "its Tables 3 and 4, SSA (rotation)",
        reads_maps=True,
    ),
    "itanet": Described(
        paper="Zhang et al., Learning Implicit Temporal Alignment for Few-shot Video "
        "Classification, IJCAI 2021",
        accuracy={"kinetics": (73.6, 84.3)},
        note="our reading; authors' alignment code is not public",
        reads_maps=True,
    ),
    "team": Described(
        paper="Lee et al., Temporal Alignment-Free Video Matching, CVPR 2025",
        accuracy={"kinetics": (75.1, 88.2), "ucf101": (87.2, None), "hmdb51": (62.8, None)},
    ),
    "mpl": Described(
        paper="MPL: Match-guided Prototype Learning, CVPR 2026",
        accuracy={"kinetics": (77.1, 89.5), "ucf101": (90.1, 97.1), "hmdb51": (63.3, 79.3)},
        note="The published code lets the queries of an episode see each other.",
        transductive_option=True,
    ),
    "tsdcm": Described(
        paper="Long et al., Task-Specific Distance Correlation Matching, AAAI 2026",
        other_protocol={
            "kinetics": (96.3, 96.6),
            "ucf101": (98.7, 99.3),
            "hmdb51": (85.0, 88.9),
            "ssv2-full": (75.1, 83.5),
            "ssv2-small": (60.5, 70.3),
        },
        note="These are of TS-FSAR: CLIP ViT-B/16, four fifths of the score from the test classes' "
        "names as text on the first three, checkpoints chosen on the test classes.",
        reads_maps=True,
    ),
}
