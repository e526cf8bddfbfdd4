#!/usr/bin/env python3
"""Draws the sample pictures of tests/data/emoji, and labels them with an exported model.

  python demo_samples.py ../tests/data/emoji            draw the pictures and labels.txt
  python demo_samples.py ../tests/data/emoji demo       label them, through transformers

The same command draws the same pictures. What is held out is said in demo/README.md.
"""
import os
import sys

import numpy as np
from PIL import Image

from demo_data import load_emoji

# name, file type, width, height, background, where the bitmap's top left corner goes
SAMPLES = [
    ("red apple", "png", 144, 136, "white", (4, 4)),
    ("dog face", "jpg", 160, 144, "sky", (12, 8)),
    ("sailboat", "png", 176, 144, "sea", (20, 8)),
    ("guitar", "jpg", 152, 160, "sand", (8, 16)),
    ("rocket", "png", 144, 144, "night", (4, 8)),
    ("sunflower", "jpg", 176, 160, "grass", (20, 16)),
    ("octopus", "png", 160, 160, "sea", (12, 16)),
    ("man astronaut", "png", 160, 144, "night", (12, 8)),
    ("woman cook", "png", 144, 144, "sand", (4, 10)),
    ("green book", "jpg", 168, 144, "wood", (16, 8)),
    ("thumbs up with dark skin tone", "png", 144, 144, "sky", (4, 8)),
    ("woman firefighter with dark skin tone", "png", 160, 144, "grey", (12, 12)),
]
DISTRACTORS = """
green apple
cat face
motor boat
violin
airplane
tulip
squid
police car
man cook
blue book
thumbs up with light skin tone
dolphin
woman firefighter with light skin tone
hamburger
pizza
bicycle
house
flag of france
red heart
snowman
elephant
umbrella
""".strip().splitlines()
GROUNDS = {         # colour at the top, colour at the bottom, grain
    "white": ((255, 255, 255), (255, 255, 255), 0),
    "grey": ((200, 200, 205), (140, 140, 150), 0),
    "sky": ((150, 200, 245), (225, 240, 255), 0),
    "sea": ((205, 235, 250), (60, 130, 190), 4),
    "sand": ((240, 225, 190), (215, 190, 140), 10),
    "night": ((20, 24, 60), (60, 50, 110), 6),
    "grass": ((190, 220, 240), (110, 170, 80), 10),
    "wood": ((190, 150, 110), (160, 120, 85), 12),
}


def background(kind, width, height, seed):
    top, bottom, grain = (np.array(v, dtype=np.float64) for v in GROUNDS[kind])
    share = np.linspace(0, 1, height)[:, None, None]
    pixels = np.broadcast_to(top * (1 - share) + bottom * share, (height, width, 3)).copy()
    pixels += np.random.default_rng(seed).normal(0, 1, (height, width, 1)) * grain
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def draw(folder):
    os.makedirs(folder, exist_ok=True)
    items = {item["name"]: item for item in load_emoji()}
    for seed, (name, kind, width, height, ground, corner) in enumerate(SAMPLES):
        image = background(ground, width, height, seed)
        picture = items[name]["picture"]
        image.paste(picture, corner, picture)
        path = os.path.join(folder, name.replace(" ", "-") + "." + kind)
        image.save(path, **({"quality": 90} if kind == "jpg" else {"optimize": True}))
        print(f"{path}: {'held-out' if items[name]['held_out'] else 'training'}")
    labels = [sample[0] for sample in SAMPLES] + DISTRACTORS
    missing = [label for label in labels if label not in items]
    assert not missing, missing
    with open(os.path.join(folder, "labels.txt"), "w") as file:
        file.write("".join(label + "\n" for label in sorted(labels)))


def label(folder, model_folder):
    from demo_eval import Exported
    exported = Exported(model_folder)
    with open(os.path.join(folder, "labels.txt")) as file:
        labels = file.read().splitlines()
    classes = exported.classes(labels, ["a photo of a {}."])
    scale, right = exported.model.logit_scale.exp().item(), 0
    for name, kind, *_ in SAMPLES:
        file = name.replace(" ", "-") + "." + kind
        image = exported.images([Image.open(os.path.join(folder, file)).convert("RGB")])
        shares = (scale * image @ classes.T).softmax(-1)[0]
        best = int(shares.argmax())
        right += labels[best] == name
        mark = "" if labels[best] == name else "   WRONG"
        print(f"{file:44} {100 * shares[best].item():5.1f} % {labels[best]}{mark}")
    print(f"{right} of {len(SAMPLES)} right")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    if len(sys.argv) == 2:
        draw(sys.argv[1])
    else:
        label(*sys.argv[1:])
